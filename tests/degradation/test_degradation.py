import dataclasses
import json

import numpy as np
import pytest

from faceren.arrays import Rgb8
from faceren.degradation import TASKS, Degradation, apply, draw
from faceren.degradation.degradation import OPERATIONS, AtScale
from faceren.degradation.noise import GaussianNoise
from faceren.degradation.resolution import GaussianBlur, Jpeg, Shrink, resize
from faceren.errors import ConfigError, ShapeError

from .conftest import flat

BLUR = GaussianBlur(sigma=2.0, kernel=13)
NOISE = GaussianNoise(sigma=20.0, seed=1)


def test_operations_are_applied_in_order(face: Rgb8) -> None:
    expected = NOISE(BLUR(face))
    assert np.array_equal(apply(face, Degradation("x", (BLUR, NOISE))), expected)
    assert not np.array_equal(apply(face, Degradation("x", (NOISE, BLUR))), expected)


def test_the_input_is_not_changed_and_no_operations_copy_it(face: Rgb8) -> None:
    before = face.copy()
    apply(face, Degradation("x", (NOISE,)))
    assert np.array_equal(face, before)
    copy = apply(face, Degradation("x", ()))
    assert np.array_equal(copy, face)
    assert not np.shares_memory(copy, face)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(6))
def test_json_brings_every_task_back(task: str, seed: int, face: Rgb8) -> None:
    drawn = draw(task, seed=seed, size=96)
    text = json.dumps(drawn.to_json())
    again = Degradation.from_json(task, json.loads(text))
    assert again == drawn
    assert np.array_equal(apply(face, again), apply(face, drawn))


def test_every_operation_is_drawn_by_some_task() -> None:
    drawn = {
        type(operation).__name__
        for task in TASKS
        for seed in range(200)
        for operation in draw(task, seed=seed).operations
    }
    drawn |= {type(o).__name__ for s in range(9) for o in _physical(s).operations}
    assert drawn == set(OPERATIONS)


def _physical(seed: int) -> Degradation:
    return draw("denoise", seed=seed, compat=["physical"])


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ({"op": "Jpeg"}, "expected a list of operations"),
        (["Jpeg"], "expected an object with the key 'op'"),
        ([{"op": "Jpg", "quality": 3}], "unknown operation 'Jpg'; did you mean 'Jpeg'"),
        ([{"op": "Jpeg", "qualty": 3}], "Jpeg: unknown parameter 'qualty'.*'quality'"),
        ([{"op": "Jpeg"}], "missing 1 required keyword-only argument: 'quality'"),
        ([{"op": "Jpeg", "quality": 0}], "Jpeg.quality: expected int from 1 to 100, got 0"),
        ([{"op": "Jpeg", "quality": "9"}], "Jpeg.quality: expected int from 1 to 100, got '9'"),
        ([{"op": "Jpeg", "quality": True}], "got True"),
        ([{"op": "Jpeg", "quality": 9, "swapped": 1}], "Jpeg.swapped: expected a bool, got 1"),
        ([{"op": "Shrink", "scale": 0.5, "up": "box"}], "expected one of 'nearest', 'linear'"),
        ([{"op": "Shrink", "scale": float("nan")}], "expected float from 0.001 to 1, got nan"),
        (
            [{"op": "Toning", "shadow": [1, 2], "middle": [1, 2, 3], "highlight": [1, 2, 3]}],
            "Toning.shadow: expected 3 values, each float from 0 to 255, got \\(1, 2\\)",
        ),
        ([{"op": "AtScale", "scale": 2}], "AtScale.scale: expected float from 0.001 to 1, got 2"),
        ([{"op": "AtScale", "scale": 0.5, "steps": 3}], "expected a list of operations, got 3"),
        ([{"op": "AtScale", "scale": 0.5, "steps": [3]}], "expected an object with the key 'op'"),
        (
            [{"op": "AtScale", "scale": 0.5, "steps": [{"op": "AtScale", "scale": 0.5}]}],
            "AtScale.steps: expected plain operations, got another AtScale",
        ),
        (
            [{"op": "AtScale", "scale": 0.5, "steps": [{"op": "Jpeg", "quality": 0}]}],
            "Jpeg.quality: expected int from 1 to 100, got 0",
        ),
    ],
)
def test_a_manifest_with_a_mistake_is_refused(operations: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Degradation.from_json("x", operations)


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32), flat(0)[:0]]
)
def test_other_arrays_are_refused(image: Rgb8) -> None:
    with pytest.raises(ShapeError, match=r"expected \(H, W, 3\) uint8, got"):
        apply(image, Degradation("x", ()))


def test_degradations_and_operations_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Jpeg(quality=50).quality = 60  # type: ignore[misc]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("shape", [(64, 64), (64, 200), (171, 65)])
def test_every_task_keeps_shape_and_type(task: str, shape: tuple[int, int]) -> None:
    image = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (*shape, 3), np.uint8)
    for seed in range(3):
        damaged = apply(image, draw(task, seed=seed, size=min(shape)))
        assert damaged.shape == image.shape
        assert damaged.dtype == np.uint8
        assert damaged.flags.c_contiguous


def test_at_scale_works_in_the_small_picture(face: Rgb8) -> None:
    """By hand: shrink, the same operations, enlarge."""
    height, width = face.shape[:2]
    small = resize(face, height=height // 4, width=width // 4, by="area")
    by_hand = resize(Jpeg(quality=40)(NOISE(small)), height=height, width=width, by="lanczos")
    operation = AtScale(scale=0.25, down="area", up="lanczos", steps=(NOISE, Jpeg(quality=40)))
    assert np.array_equal(operation(face), by_hand)


def test_at_scale_without_steps_is_shrinking(face: Rgb8) -> None:
    alone = AtScale(scale=0.3, down="linear", up="cubic")
    assert np.array_equal(alone(face), Shrink(scale=0.3, down="linear", up="cubic")(face))


def test_noise_in_the_small_picture_is_coarse() -> None:
    """Neighbours share it, unlike noise that is added at full size."""
    gray = flat(128)
    inside = AtScale(scale=0.25, up="linear", steps=(NOISE,))(gray).astype(float)
    outside = NOISE(Shrink(scale=0.25)(gray)).astype(float)

    def correlation(noisy: np.ndarray) -> float:
        return float(np.corrcoef(noisy[:, 1:].ravel(), noisy[:, :-1].ravel())[0, 1])

    assert correlation(inside) > 0.8
    assert abs(correlation(outside)) < 0.1


def test_at_scale_refuses_a_picture_too_small_for_it() -> None:
    with pytest.raises(ConfigError, match=r"at least 8 pixels .* got 8x7: 80x70 at the scale 0.1"):
        apply(np.zeros((70, 80, 3), np.uint8), Degradation("x", (AtScale(scale=0.1),)))
