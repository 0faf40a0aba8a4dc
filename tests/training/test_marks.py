from pathlib import Path

import numpy as np
import pytest
import torch

from faceren.config import DetectorConfig, Mark
from faceren.degradation import NEITHER
from faceren.errors import ConfigError
from faceren.networks.detector import build_detector
from faceren.training.events import Validated
from faceren.training.losses import WIDE, cross_entropy, dice_loss, target_of
from faceren.training.recipe_file import load_recipe
from faceren.training.setup import initial_network
from faceren.training.validation import Case, MarkValidator
from faceren.weights import read_detector, read_header

from .tiny import finished, losses, run, write_recipe

SMALL = DetectorConfig(channels=(4, 6))
DETECTS = {
    "model": None,
    "detector": {"channels": [4, 6]},
    "data": {"task": "worn", "size": 32},
    "loss": {"l1": 0.0, "bce": 1.0, "dice": 0.5},
    "validate": {"every": 10, "images": 2, "size": 32, "sheet": 1, "select": "f1"},
}


def targets(marked: list[int], counted: list[int]) -> torch.Tensor:
    planes = torch.tensor([marked, counted, marked], dtype=torch.float32)
    return planes.view(1, 3, 1, -1)


def test_losses_of_known_pixels_and_of_none() -> None:
    logits = torch.tensor([0.0, 9.0, 9.0]).view(1, 1, 1, 3)
    target = targets([1, 1, 0], [1, 0, 0])
    assert cross_entropy(logits, target).item() == pytest.approx(np.log(2))  # of the one counted
    assert dice_loss(logits, target).item() == pytest.approx(1 - (2 * 0.5 + 1) / (0.5 + 1 + 1))
    nothing = targets([1, 1, 0], [0, 0, 0])
    assert cross_entropy(logits, nothing).item() == 0
    assert dice_loss(logits, nothing).item() == 0


def test_the_target_leaves_out_what_is_neither_and_what_is_too_wide() -> None:
    marks = np.zeros((60, 60), np.uint8)
    marks[5, :] = Mark.LINE
    marks[8, 3] = NEITHER
    marks[25:50, 20:50] = Mark.LOSS
    target = target_of(marks)
    assert (target[5] == (255, 255, Mark.LINE)).all()
    assert tuple(target[8, 3]) == (0, 0, NEITHER)
    assert not target[23:52, 18:52, 1].any()
    assert (target[..., 1] > 0).sum() == 3600 - 1 - 29 * 34
    narrow = np.zeros((60, 60), np.uint8)
    narrow[20 : 20 + WIDE - 1, :] = Mark.LINE
    assert target_of(narrow)[..., 1].all()


def test_a_thin_mark_weighs_thrice_by_its_area_and_so_as_a_wider_one_by_its_length() -> None:
    marks = np.zeros((40, 60), np.uint8)
    marks[5:7] = Mark.LINE
    marks[20:26] = Mark.LINE
    weight = target_of(marks)[..., 1]
    thin, wide = weight[5:7], weight[20:26]
    assert set(np.unique(thin)) == {255}
    assert set(np.unique(wide)) == set(np.unique(weight[10:15])) == {85}
    assert thin.sum() == wide.sum()


def test_precision_and_recall_of_known_findings(tmp_path: Path) -> None:
    target = np.zeros((32, 32, 3), np.uint8)
    target[..., 1] = 255
    target[0, :, 0] = 255
    target[31] = 0  # does not count
    recipe = load_recipe(write_recipe(tmp_path, **DETECTS))
    case = Case("worn", np.zeros((32, 32, 3), np.uint8), target)
    validator = MarkValidator([case], recipe, torch.device("cpu"))
    logits = torch.full((1, 1, 32, 32), -5.0)
    logits[..., 0, :8] = 5  # a quarter of the marks
    logits[..., 1, :24] = 5  # and what is none
    logits[..., 31, :] = 5
    measured = validator.measure(lambda _: logits)
    assert measured.scores == {"worn": {"precision": 0.25, "recall": 0.25, "f1": 0.25}}
    assert validator.input_scores == {"worn": {"precision": 0, "recall": 0, "f1": 0}}
    assert len(measured.rows) == 1


def test_a_detector_trains_and_its_file_says_what_it_is(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, **DETECTS)
    fixed = ("train.lr=1e-2", "data.fixed_damage=true", "train.steps=80")
    events = run(recipe, tmp_path / "run", *fixed)
    assert np.mean(losses(events)[-20:]) < np.mean(losses(events)[:20])
    weights = finished(events).weights
    stored = read_detector(weights)
    assert stored.config == SMALL
    assert stored.info.images_seen == 320
    assert {event.best for event in events if isinstance(event, Validated)} >= {True}
    with pytest.raises(ConfigError, match="expected a network that restores faces, got a detector"):
        read_header(weights)


def test_a_detector_goes_on_from_weights_of_its_shape(tmp_path: Path) -> None:
    first = finished(run(write_recipe(tmp_path, **DETECTS), tmp_path / "first")).weights
    still = write_recipe(tmp_path, **DETECTS, init=str(first))
    network = initial_network(load_recipe(still))
    for key, array in read_detector(first).arrays.items():
        assert np.array_equal(array, network.state_dict()[key]), key
    other = write_recipe(
        tmp_path, **DETECTS | {"detector": {"channels": [4, 8]}, "init": str(first)}
    )
    with pytest.raises(ConfigError, match=r"channels \[4, 6\], the recipe asks for \[4, 8\]"):
        initial_network(load_recipe(other))


def test_a_deeper_detector_begins_with_what_the_shallower_one_sees(tmp_path: Path) -> None:
    first = finished(run(write_recipe(tmp_path, **DETECTS), tmp_path / "first")).weights
    deeper = DETECTS | {"detector": {"channels": [4, 6, 8]}, "init": str(first)}
    network = initial_network(load_recipe(write_recipe(tmp_path, **deeper)))
    still = initial_network(load_recipe(write_recipe(tmp_path, **DETECTS, init=str(first))))
    pictures = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(pictures), still(pictures))
    network(pictures).sum().backward()
    assert network.up[1].weight.grad[:, :8].abs().max() > 0  # the new level is learned from


def test_an_interrupted_detector_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, **DETECTS)
    whole = read_detector(finished(run(recipe, tmp_path / "whole")).weights)
    schedule = "train.schedule=constant"
    run(recipe, tmp_path / "parts", "train.steps=7", schedule)
    run(recipe, tmp_path / "parts", "train.steps=20", schedule, allow_change=True)
    again = finished(run(recipe, tmp_path / "one", "train.steps=20", schedule)).weights
    parts = read_detector(tmp_path / "parts" / "last.safetensors").arrays
    for key, array in read_detector(again).arrays.items():
        assert np.array_equal(array, parts[key]), key
    assert whole.arrays.keys() == parts.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": {"l1": 1.0, "bce": 1.0}}, "with a detector and nowhere else, got bce, dice, l1"),
        ({"detector": None, "init": "compact"}, "with a detector and nowhere else, got bce, dice"),
        ({"validate": {"select": "psnr"}}, "validate.select: expected f1 with a detector"),
        ({"teacher": "compact"}, "detector: expected no model, teacher or widen beside it"),
        ({"detector": {"channels": [4]}}, "detector.channels: expected 2 to 6 numbers, got 1"),
        ({"detector": {"channels": [4, 0]}}, "detector.channels: expected .* from 1 to 256"),
        ({"data": {"size": 40, "task": "worn"}}, ""),
    ],
)
def test_recipes_that_make_no_sense_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    sections = {**DETECTS}
    for name, values in change.items():
        both = isinstance(values, dict) and isinstance(sections.get(name), dict)
        sections[name] = {**sections[name], **values} if both else values
    path = write_recipe(tmp_path, **sections)
    if message:
        with pytest.raises(ConfigError, match=message):
            load_recipe(path)
    else:
        load_recipe(path)


def test_the_network_is_as_large_as_its_card_says() -> None:
    network = build_detector(DetectorConfig(), 0)
    assert sum(weight.numel() for weight in network.parameters()) == 425_252


def test_a_detector_looks_at_gray_alone_and_draws_its_weights_from_the_seed() -> None:
    network = build_detector(SMALL, 1).eval()
    grays = torch.rand(2, 1, 16, 24).repeat(1, 3, 1, 1)
    coloured = grays + torch.tensor([0.587, -0.299, 0.0]).view(1, 3, 1, 1)  # of no luma
    assert torch.allclose(network(grays), network(coloured), atol=1e-5)
    assert network(grays).shape == (2, 1, 16, 24)
    twin, other = build_detector(SMALL, 1), build_detector(SMALL, 2)
    assert torch.equal(twin.down[0][0].weight, network.down[0][0].weight)
    assert not torch.equal(other.down[0][0].weight, network.down[0][0].weight)
