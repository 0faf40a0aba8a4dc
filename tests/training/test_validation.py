"""What a validation measures, on pairs whose scores are known."""

import numpy as np
import pytest
import torch
from torch import nn

from faceren.degradation import apply, draw_pair, item_seed
from faceren.images import read_rgb
from faceren.training.recipe import DataRecipe, LossRecipe, Recipe, TrainRecipe, ValidationRecipe
from faceren.training.validation import Case, Validator, make_cases, overall, write_sheet
from tests.training.test_samples import make_set
from tests.training.tiny import CONFIG


def recipe(**validate) -> Recipe:
    return Recipe(
        name="tiny",
        model=CONFIG,
        loss=LossRecipe(l1=1),
        data=DataRecipe(task="denoise"),
        train=TrainRecipe(steps=1),
        validate=ValidationRecipe(size=64, **validate),
        seed=3,
    )


def flat(level: int) -> np.ndarray:
    return np.full((64, 64, 3), level, np.uint8)


class Brighter(nn.Module):
    """Adds a tenth, and would go beyond white."""

    def forward(self, faces):
        return faces + 0.1


def test_every_image_comes_under_every_task_with_damage_of_its_own_name():
    images = make_set(64, 80, 96).images
    cases = make_cases(images, recipe(tasks=("jpeg", "denoise")))
    assert [case.task for case in cases] == ["jpeg"] * 3 + ["denoise"] * 3
    assert {case.clean.shape for case in cases} == {(64, 64, 3)}
    noisy = draw_pair("denoise", seed=item_seed(3, "1.png"), size=64).damage
    assert np.array_equal(cases[4].damaged, apply(flat(10), noisy))
    again = make_cases(images, recipe(tasks=("jpeg", "denoise")))
    assert all(np.array_equal(a.damaged, b.damaged) for a, b in zip(cases, again, strict=True))


def test_the_task_of_the_training_is_validated_if_none_is_named():
    cases = make_cases(make_set(64).images, recipe())
    assert [case.task for case in cases] == ["denoise"]


def test_known_scores():
    cases = [Case("a", flat(100), flat(110)), Case("a", flat(100), flat(120))]
    cases += [Case("b", flat(7), flat(7))]
    validator = Validator(cases, recipe(), torch.device("cpu"))
    found = validator.input_scores
    # 10 and 20 levels of 255: 28.13 and 22.11 dB
    assert found["a"]["psnr"] == pytest.approx((28.1308 + 22.1102) / 2, abs=1e-3)
    assert found["b"]["ssim"] == pytest.approx(1)
    assert found["b"]["lpips"] == pytest.approx(0, abs=1e-6)
    assert "fed" not in found["a"]


def test_the_output_is_measured_clamped_and_shown_beside_its_input():
    cases = [Case("a", flat(100), flat(126)), Case("a", flat(250), flat(255))]
    validator = Validator(cases, recipe(sheet=1), torch.device("cpu"))
    measured = validator.measure(Brighter())
    assert measured.scores["a"]["psnr"] > 50  # 100 + 25.5 is nearly 126, and white stays white
    ((damaged, output, clean),) = measured.rows
    assert (damaged[0, 0, 0], output[0, 0, 0], clean[0, 0, 0]) == (100, 126, 126)
    assert validator.measure(None).rows == []


def test_the_mean_over_tasks_selects():
    scores = {"a": {"psnr": 20.0, "lpips": 0.2}, "b": {"psnr": 30.0, "lpips": 0.4}}
    assert overall(scores, "psnr") == 25
    assert overall(scores, "lpips") == pytest.approx(-0.3)  # higher is better, always


def test_a_sheet_has_a_row_for_each_image_on_white(tmp_path):
    rows = [(flat(10), flat(20), flat(30)), (flat(40), flat(50), flat(60))]
    write_sheet(tmp_path / "s.png", rows)
    sheet = read_rgb(tmp_path / "s.png")
    assert sheet.shape == (2 * 72 + 8, 3 * 72 + 8, 3)
    for top, row in ((8, (10, 20, 30)), (80, (40, 50, 60))):
        for left, level in zip((8, 80, 152), row, strict=True):
            assert (sheet[top : top + 64, left : left + 64] == level).all()
    assert (sheet[:8] == 255).all()
    assert (sheet[72:80] == 255).all()
