import math

import pytest
from torch import nn

from faceren.assets import models_dir
from faceren.training.recipe import TrainRecipe
from faceren.training.recipe_file import load_recipe
from faceren.training.step import build_optimiser, lr_factor, progress, set_lr


def test_paper_schedule_is_31_epochs_at_the_full_rate_then_falls_by_twentieths():
    train = load_recipe(models_dir() / "paper.yaml").train
    assert train.steps == 250_000
    epochs = [lr_factor(train, e * 5000, progress(train, e * 5000, 0)) for e in range(50)]
    expected = [1.0] * 31 + [1 - n / 20 for n in range(1, 20)]
    assert epochs == pytest.approx(expected)
    last = lr_factor(train, 249_999, progress(train, 249_999, 0))
    assert last == pytest.approx(0.05)  # within an epoch the rate stays


@pytest.mark.parametrize(
    ("schedule", "done", "expected"),
    [
        ("constant", 0.9, 1.0),
        ("linear", 0.2, 1.0),
        ("linear", 0.6, 0.5),
        ("linear", 1.0, 0.0),
        ("cosine", 0.6, 0.5),
        ("cosine", 0.4, 0.5 + 0.5 * math.cos(math.pi / 4)),
    ],
)
def test_schedules(schedule, done, expected):
    recipe = TrainRecipe(steps=100, schedule=schedule, hold=0.2)
    assert lr_factor(recipe, 50, done) == pytest.approx(expected, abs=1e-12)


def test_warmup_rises_from_the_first_step():
    recipe = TrainRecipe(steps=100, warmup=4)
    assert [lr_factor(recipe, step, 0) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]


def test_progress_follows_steps_or_the_clock_whichever_is_further():
    both = TrainRecipe(steps=100, minutes=2)
    assert progress(both, 50, 30) == 0.5
    assert progress(both, 10, 90) == 0.75
    assert progress(TrainRecipe(minutes=1), 10**9, 15) == 0.25
    assert progress(TrainRecipe(steps=10), 99, 0) == 1


def test_frozen_weights_are_not_optimised():
    network = nn.Linear(2, 2)
    network.bias.requires_grad_(False)
    optimiser = build_optimiser(network, TrainRecipe(steps=1), 0.1, kind="adamw")
    assert [len(group["params"]) for group in optimiser.param_groups] == [1]
    set_lr(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.5]
