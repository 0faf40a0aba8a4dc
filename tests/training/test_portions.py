"""A step in parts is the step as a whole."""

import itertools

import pytest
import torch

from faceren.config import GeneratorConfig
from faceren.networks.mixed_discriminator import augmented
from faceren.training.lightning import build_fabric
from faceren.training.portions import Portion, divided, numbered
from faceren.training.processes import Processes
from faceren.training.recipe import DataRecipe, LossRecipe, Recipe, TrainRecipe
from faceren.training.setup import build_stepper, initial_network
from faceren.training.step import Pass
from tests.training.tiny import MODEL

LOSSES = {
    "patches": LossRecipe(l1=1, gan=0.5, features=1, discriminator_width=2),
    "projected": LossRecipe(
        **{"l1": 1, "lpips": 0.5, "inner": 1, "gram": 0.1, "gan": 0.5, "features": 1},
        **{"discriminator": "projected", "discriminator_width": 2, "discriminator_inner": True},
    ),
    "mixed": LossRecipe(
        **{"l1": 1, "fed": 0.1, "gan": 0.5},
        **{"discriminator": "mixed", "discriminator_width": 2, "discriminator_inner": True},
    ),
}


@pytest.mark.parametrize(
    ("total", "processes", "passes"), [(8, 2, 2), (8, 1, 3), (1, 2, 4), (3, 2, 1), (5, 4, 2)]
)
def test_every_image_is_in_one_portion_and_all_processes_make_as_many_passes(
    total, processes, passes
):
    portions = divided(total, processes, passes)
    assert len(portions) == processes
    assert len({len(mine) for mine in portions}) == 1
    assert len(portions[0]) <= passes
    flat = list(itertools.chain(*portions))
    shown = [n for p in flat for n in range(p.first, p.first + p.count)]
    assert shown == list(range(total))
    assert max(p.count for p in flat) - min(p.count for p in flat) <= 1
    assert all(0 <= p.first < total for p in flat)  # who has none looks at another's
    assert sum(p.share for p in flat) == pytest.approx(1)


def test_what_only_some_images_have_is_numbered_through():
    counts = [[1, 0], [2, 1]]
    found = [numbered(counts, process) for process in (0, 1)]
    assert found == [
        [Portion(0, 1, 4), Portion(1, 0, 4)],
        [Portion(1, 2, 4), Portion(3, 1, 4)],
    ]
    assert numbered([[0], [0]], 1)[0].share == 0


def test_an_image_is_augmented_alike_in_any_portion():
    batch = torch.rand(5, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    (together,) = augmented([batch], seed=3, side=16)
    (apart,) = augmented([batch[2:4]], seed=3, side=16, first=2, total=5)
    assert torch.equal(apart, together[2:4])


def steps_of(kind: str, whole: tuple[bool, ...], passes: int, steps: int):
    """Take steps with the same images; return what they saw, the first gradients, the state."""
    recipe = Recipe(
        name="tiny",
        model=GeneratorConfig(**{**MODEL, "spectral_norm": True}),
        loss=LOSSES[kind],
        train=TrainRecipe(steps=2, batch=3, lr=1e-4, accumulate=passes),
        data=DataRecipe(size=128),
    )
    fabric = build_fabric("cpu", "fp32", Processes())
    stepper = build_stepper(recipe, initial_network(recipe), None, fabric)
    draw = torch.Generator().manual_seed(1)
    damaged, clean = (torch.rand(3, 3, 128, 128, generator=draw) for _ in range(2))
    results, gradients = [], {}
    for _ in range(steps):
        given = []
        for portion in divided(3, 1, passes)[0]:
            mine = slice(portion.first, portion.first + portion.count)
            given.append(Pass(damaged[mine], clean[mine], torch.tensor(whole)[mine], portion))
        results.append(stepper.take(given, done=0.0))
        for network in (stepper.state.generator, stepper.state.discriminator):
            for name, weight in network.named_parameters():
                if weight.grad is not None:
                    key = f"{type(network).__name__}.{name}"
                    gradients.setdefault(key, weight.grad.clone())
    return results, gradients, stepper.state


@pytest.mark.parametrize(
    ("kind", "whole", "passes", "steps"),
    [
        ("patches", (True,) * 3, 2, 2),
        ("projected", (True, False, True), 3, 2),
        ("projected", (False,) * 3, 3, 1),
        ("mixed", (False, True, True), 3, 2),
        ("mixed", (False,) * 3, 2, 1),
    ],
)
def test_passes_add_up_to_the_batch(kind, whole, passes, steps):
    ours, gradients, state = steps_of(kind, whole, 1, steps)
    theirs, theirs_too, divided_state = steps_of(kind, whole, passes, steps)
    for one, other in zip(ours, theirs, strict=True):
        # the first step of Adam makes whole steps even of gradients that are but rounding
        rel = 1e-5 if one is ours[0] else 1e-3
        assert other.loss == pytest.approx(one.loss, rel=rel)
        assert other.parts == pytest.approx(one.parts, rel=rel, abs=1e-6)
        assert other.gradient == pytest.approx(one.gradient, rel=rel)
        assert one.good
    assert theirs_too.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(theirs_too[name], gradient, rtol=1e-3, atol=1e-6, msg=name)
    assert divided_state.counters == state.counters
    assert (state.counters.step, state.counters.images_seen) == (steps, 3 * steps)
    theirs = divided_state.tensors()
    norms = {k: v for k, v in state.tensors().items() if k.endswith(("_u", "_v"))}
    assert {name.partition(".")[0] for name in norms} > {"generator", "discriminator"}
    for name, value in norms.items():  # they moved on once a step
        torch.testing.assert_close(theirs[name], value, rtol=1e-4, atol=1e-4, msg=name)
