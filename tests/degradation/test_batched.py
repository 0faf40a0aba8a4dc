import numpy as np
import pytest
import torch
from torch import Tensor

from faceren.degradation import Degradation, apply, draw
from faceren.degradation.batched import FORMS, TOLERANCE, apply_batch
from faceren.degradation.blur import GaussianBlur, MotionBlur, SoftFocus
from faceren.degradation.compression import Jpeg
from faceren.degradation.degradation import Operation
from faceren.degradation.noise import GaussianNoise, LaplacianNoise, PoissonNoise
from faceren.degradation.resampling import Sharpen, Shrink
from faceren.degradation.tone import Curve, Monochrome, Toning
from faceren.errors import ShapeError

from .conftest import Pixels

EXAMPLES: list[Operation] = [
    GaussianBlur(sigma=3.3, kernel=9),
    GaussianBlur(sigma=0.7, kernel=7),
    MotionBlur(kernel=15, angle=33.0, direction=0.4),
    SoftFocus(sigma=4.0, amount=0.3),
    Sharpen(sigma=1.2, amount=0.9),
    GaussianNoise(sigma=25.0, seed=1),
    GaussianNoise(sigma=25.0, seed=1, gray=True),
    LaplacianNoise(scale=20.0, seed=2),
    PoissonNoise(level=20.0, seed=3),
    Shrink(scale=0.17),
    Shrink(scale=0.4, down="area", up="linear"),
    Shrink(scale=0.4, down="linear"),
    Shrink(scale=0.4, down="antialiased"),
    Shrink(scale=0.3, down="nearest", up="nearest"),
    Monochrome(red=0.2, green=0.6, blue=0.3),
    Curve(gamma=1.3, black=20.0, white=240.0),
    Toning(shadow=(40.0, 25.0, 9.0), middle=(150.0, 120.0, 85.0), highlight=(245.0, 230.0, 200.0)),
]


def tensor(*images: Pixels) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def levels(images: Tensor) -> np.ndarray:
    return (images * 255).round().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("operation", EXAMPLES, ids=str)
def test_each_form_agrees_with_its_operation(operation: Operation, face: Pixels) -> None:
    ours = levels(apply_batch(tensor(face), [Degradation("x", (operation,))]))[0]
    difference = np.abs(ours - operation(face).astype(float))
    assert difference.max() <= TOLERANCE
    assert difference.mean() < 0.3  # OpenCV rounds between the axes too


def test_every_form_has_an_example() -> None:
    assert {type(operation) for operation in EXAMPLES} == set(FORMS)


@pytest.mark.parametrize("kind", [GaussianNoise, LaplacianNoise, PoissonNoise, Curve])
def test_noise_and_tables_agree_exactly(kind: type, face: Pixels) -> None:
    for operation in EXAMPLES:
        if isinstance(operation, kind):
            ours = levels(apply_batch(tensor(face), [Degradation("x", (operation,))]))[0]
            assert np.array_equal(ours, operation(face))


def test_whole_degradations_agree_and_do_not_depend_on_their_neighbours(face: Pixels) -> None:
    drawn = [draw(task, seed=s, size=96) for task in ("full", "mixed", "historic") for s in (1, 2)]
    batch = tensor(*[face] * len(drawn))
    together = levels(apply_batch(batch, drawn))
    for degradation, ours in zip(drawn, together, strict=True):
        expected = apply(face, degradation).astype(float)
        # a level more or less before JPEG or a curve may become a few behind it
        assert np.abs(ours - expected).mean() < 1
        alone = levels(apply_batch(tensor(face), [degradation]))[0]
        assert np.abs(ours - alone).mean() < 0.5


def test_kernels_larger_than_the_image_mirror_again() -> None:
    image = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (12, 9, 3), np.uint8)
    blur = GaussianBlur(sigma=6.0, kernel=37)
    ours = levels(apply_batch(tensor(image), [Degradation("x", (blur,))]))[0]
    assert np.abs(ours - blur(image).astype(float)).max() <= TOLERANCE


def test_other_operations_go_through_the_processor(face: Pixels) -> None:
    jpeg = Degradation("x", (Jpeg(quality=30),))
    assert np.array_equal(levels(apply_batch(tensor(face), [jpeg]))[0], apply(face, jpeg))


def test_degradations_of_different_lengths_and_none_at_all(face: Pixels) -> None:
    nothing, two = Degradation("x", ()), Degradation("x", (EXAMPLES[0], EXAMPLES[5]))
    result = levels(apply_batch(tensor(face, face), [nothing, two]))
    assert np.array_equal(result[0], face)
    assert not np.array_equal(result[1], face)
    assert apply_batch(torch.zeros(0, 3, 8, 8), []).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 8, 8), (2, 3, 8, 8)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"expected \(1, 3, H, W\)"):
        apply_batch(torch.zeros(shape), [Degradation("x", ())])
