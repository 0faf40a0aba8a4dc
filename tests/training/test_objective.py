import itertools

import pytest
import torch
from safetensors.torch import save_file

from faceren.assets import asset
from faceren.errors import MachineError
from faceren.faces.alignment import TEMPLATE
from faceren.networks.perceptual import LpipsAlexNet, VggFeatures
from faceren.training.losses import perceptual_loss
from faceren.training.objective import (
    Objective,
    build_discriminator,
    gram_distance,
    grid_offset,
    inner_face,
)
from faceren.training.recipe import LossRecipe

DAMAGED, OUTPUT, CLEAN = (
    torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in range(3)
)


def parts_of(objective, output, damaged, clean, discriminator, *, whole=None, step=0):
    views = objective.views(output, damaged, clean, whole=whole, step=step)
    return objective.parts(views, discriminator)


def test_what_weighs_nothing_is_not_built():
    objective = Objective(LossRecipe(l1=1))
    assert list(objective.parameters()) == []
    assert build_discriminator(LossRecipe(l1=1, lpips=1), seed=0) is None


def test_l1_is_the_mean_absolute_difference():
    objective = Objective(LossRecipe(l1=3))
    parts = parts_of(objective, CLEAN + 0.25, DAMAGED, CLEAN, None)
    assert parts["l1"].item() == pytest.approx(0.25)
    assert objective.total(parts).item() == pytest.approx(0.75)


def test_all_losses_add_up_by_weight():
    recipe = LossRecipe(l1=2, lpips=0.5, gan=0.25, features=10, discriminator_width=4)
    discriminator = build_discriminator(recipe, seed=0)
    parts = parts_of(Objective(recipe), OUTPUT, DAMAGED, CLEAN, discriminator)
    assert set(parts) == {"l1", "lpips", "gan", "features"}
    expected = sum(getattr(recipe, name) * part.item() for name, part in parts.items())
    assert Objective(recipe).total(parts).item() == pytest.approx(expected, rel=1e-6)


def test_a_perfect_output_has_no_distance():
    recipe = LossRecipe(l1=1, lpips=1, features=1, discriminator_width=4)
    parts = parts_of(Objective(recipe), CLEAN, DAMAGED, CLEAN, build_discriminator(recipe, seed=0))
    assert {name: part.item() for name, part in parts.items()} == {
        "l1": 0,
        "lpips": 0,
        "features": 0,
    }


def test_the_generators_losses_leave_the_discriminator_alone():
    recipe = LossRecipe(gan=1, features=1, discriminator_width=4)
    discriminator = build_discriminator(recipe, seed=0)
    output = OUTPUT.clone().requires_grad_()
    Objective(recipe).total(
        parts_of(Objective(recipe), output, DAMAGED, CLEAN, discriminator)
    ).backward()
    assert output.grad is not None
    assert output.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in discriminator.parameters())


def test_the_discriminator_learns_to_tell_apart():
    recipe = LossRecipe(gan=1, discriminator_width=2)
    discriminator, objective = build_discriminator(recipe, seed=0), Objective(recipe)
    views = objective.views(*(x[..., :32, :32] for x in (OUTPUT, DAMAGED, CLEAN)))
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=1e-2)
    seen = []
    for _ in range(8):
        loss = objective.discriminator_loss(views, discriminator)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    assert seen[0] == pytest.approx(1, abs=0.05)  # scores near 0: 0 for restored, 1 for clean
    assert seen[-1] < 0.8


def test_the_discriminators_weights_come_from_the_seed():
    recipe = LossRecipe(gan=1, discriminator_width=4)
    before = torch.random.get_rng_state()
    one, same, other = (build_discriminator(recipe, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    first = [next(discriminator.parameters()) for discriminator in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_the_grid_of_the_perceptual_losses_moves():
    offsets = [grid_offset(step) for step in range(16)]
    assert sorted(offsets) == [(row, column) for row in range(4) for column in range(4)]
    assert grid_offset(16) == offsets[0]
    recipe = LossRecipe(lpips=1, gan=1, discriminator="projected", discriminator_width=4)
    discriminator, objective = build_discriminator(recipe, seed=0).eval(), Objective(recipe)
    found = parts_of(
        objective, OUTPUT, DAMAGED, CLEAN, discriminator, step=6
    )  # the grid begins at (2, 1)
    cut = [x[:, :, 2:, 1:] for x in (OUTPUT, DAMAGED, CLEAN)]
    expected = parts_of(objective, *cut, discriminator)
    for name in ("lpips", "gan"):
        assert found[name].item() == pytest.approx(expected[name].item(), rel=1e-5)


def test_the_inner_face_is_eyes_nose_and_mouth():
    marked = torch.zeros(1, 3, 512, 512)
    for x, y in TEMPLATE.round().astype(int):
        marked[..., y, x] = 1
    inner = inner_face(marked)
    assert inner.shape[2:] == (231, 226)
    assert inner.sum() == marked.sum()
    assert inner_face(marked[..., ::2, ::2]).shape[2:] == (116, 113)


def test_inner_looks_at_whole_faces_only():
    objective = Objective(LossRecipe(inner=2))
    output, clean = (torch.rand(2, 3, 128, 128) for _ in range(2))
    expected = LpipsAlexNet(asset("lpips-alexnet"))(*(inner_face(x[1:]) for x in (output, clean)))
    found = parts_of(objective, output, output, clean, None, whole=torch.tensor([False, True]))
    assert found["inner"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert objective.total(found).item() == pytest.approx(2 * expected.item(), rel=1e-5)
    output.requires_grad_()
    none = parts_of(objective, output, output, clean, None, whole=torch.tensor([False, False]))
    none["inner"].backward()  # crops alone in a step: nothing to learn, nothing that breaks
    assert none["inner"] == 0
    assert not output.grad.any()


def test_alexnet_sees_each_batch_once(monkeypatch):
    recipe = LossRecipe(
        lpips=1, gan=1, features=1, discriminator="projected", discriminator_width=4
    )
    discriminator, objective = build_discriminator(recipe, seed=0), Objective(recipe)
    seen, maps = [], objective.lpips.maps
    monkeypatch.setattr(objective.lpips, "maps", lambda x: seen.append(x) or maps(x))
    views = objective.views(OUTPUT, DAMAGED, CLEAN, step=9)  # the grid begins at (1, 2)
    objective.parts(views, discriminator)
    objective.discriminator_loss(views, discriminator).backward()
    assert len(seen) == 3
    for found, images in zip(seen, (OUTPUT, DAMAGED, CLEAN), strict=True):
        assert torch.equal(found, images[:, :, 1:, 2:])


def test_shared_maps_change_no_loss():
    recipe = LossRecipe(lpips=1, gan=1, discriminator="projected", discriminator_width=4)
    discriminator, objective = build_discriminator(recipe, seed=0).eval(), Objective(recipe)
    parts = parts_of(objective, OUTPUT, DAMAGED, CLEAN, discriminator)
    alexnet = LpipsAlexNet(asset("lpips-alexnet"))
    assert parts["lpips"].item() == pytest.approx(alexnet(OUTPUT, CLEAN).mean().item(), rel=1e-6)
    scored = discriminator(*([x, *alexnet.maps(x)] for x in (DAMAGED, OUTPUT)))
    expected = sum((scale[-1] - 1).square().mean() for scale in scored) / len(scored)
    assert parts["gan"].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("whole", [[True, False], [False, False]])
def test_the_inner_face_is_scored_by_itself(whole):
    recipe = LossRecipe(
        gan=1,
        features=1,
        discriminator="projected",
        discriminator_inner=True,
        discriminator_width=4,
    )
    discriminator, objective = build_discriminator(recipe, seed=0).eval(), Objective(recipe)
    output, damaged, clean = (
        torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(k)) for k in range(3)
    )
    chosen = torch.tensor(whole)
    views = objective.views(output.requires_grad_(), damaged, clean, whole=chosen)
    parts = objective.parts(views, discriminator)
    alexnet = LpipsAlexNet(asset("lpips-alexnet"))
    inner = [inner_face(x[chosen]) for x in (damaged, output)]
    scores = [
        (scale[-1] - 1).square()
        for region, pair in ((discriminator.whole, (damaged, output)), (discriminator.inner, inner))
        for scale in region(*([x, *alexnet.maps(x)] for x in pair))
    ]
    assert [len(score) for score in scores] == [2] * 6 + [sum(whole)] * 6
    expected = sum(score.mean().item() for score in scores if len(score)) / 12
    assert parts["gan"].item() == pytest.approx(expected, rel=1e-5)
    objective.total(parts).backward()
    assert output.grad.abs().sum((1, 2, 3)).all()  # in a step without faces, too
    loss = objective.discriminator_loss(views, discriminator)
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())
    assert any(p.grad.any() for p in discriminator.inner.parameters()) == any(whole)


def write_vgg16(path):
    """VGG-16 up to relu5_1, a 32nd as wide, with random weights."""
    widths = [3, *(2 * factor for factor in (1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8))]
    draw = torch.Generator().manual_seed(0)
    tensors = {}
    for index, (into, out) in enumerate(itertools.pairwise(widths)):
        tensors[f"convs.{index}.weight"] = torch.randn(out, into, 3, 3, generator=draw) / into
        tensors[f"convs.{index}.bias"] = torch.zeros(out)
    save_file(tensors, path)


def test_vgg_weights_are_read_from_a_file(tmp_path):
    path = tmp_path / "vgg.safetensors"
    write_vgg16(path)
    objective = Objective(LossRecipe(vgg=10, vgg_weights=str(path)))
    assert parts_of(objective, CLEAN, DAMAGED, CLEAN, None)["vgg"] == 0
    output = OUTPUT.clone().requires_grad_()
    loss = parts_of(objective, output, DAMAGED, CLEAN, None)["vgg"]
    expected = perceptual_loss(VggFeatures(path)(OUTPUT), VggFeatures(path)(CLEAN))
    assert loss.item() == pytest.approx(expected.item())
    loss.backward()
    assert output.grad.abs().sum() > 0


def test_missing_vgg_weights_are_told(tmp_path):
    with pytest.raises(MachineError, match="expected VGG weights at"):
        Objective(LossRecipe(vgg=1, vgg_weights=str(tmp_path / "none.safetensors")))


def test_gram_distance_by_hand():
    """Two channels of constants: a Gram matrix is the outer product of the values."""
    ours = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 3, 5)
    theirs = torch.tensor([1.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 3, 5)
    # [[1, 2], [2, 4]] against ones: 0 + 1 + 1 + 3 over 4
    assert gram_distance([ours], [theirs]).item() == pytest.approx(5 / 4)
    assert gram_distance([theirs], [theirs]).item() == 0
    assert gram_distance([theirs], [torch.zeros_like(theirs)]).item() == pytest.approx(1e6)
    assert gram_distance([ours[:0]], [theirs[:0]]).item() == 0


@pytest.mark.parametrize("whole", [(True, True), (True, False), (False, False)])
def test_a_mixed_discriminator_sees_whole_and_inner_faces(whole):
    recipe = LossRecipe(
        gan=1, gram=1, discriminator="mixed", discriminator_width=4, discriminator_inner=True
    )
    objective, discriminator = Objective(recipe), build_discriminator(recipe, seed=0)
    batches = [
        torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(seed))
        for seed in range(3)
    ]
    output = batches[0].requires_grad_()
    views = objective.views(output, *batches[1:], whole=torch.tensor(whole), step=3)
    parts = objective.parts(views, discriminator)
    assert set(parts) == {"gan", "gram"}
    objective.total(parts).backward()
    assert output.grad.abs().sum() > 0
    assert all(p.grad is None for p in discriminator.parameters())
    objective.discriminator_loss(views, discriminator).backward()
    trained = {
        name.split(".")[1] for name, p in discriminator.named_parameters() if p.grad is not None
    }
    assert trained == ({"0", "1"} if any(whole) else {"0"})
