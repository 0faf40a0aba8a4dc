import itertools

import pytest
import torch
from safetensors.torch import save_file

from faceren.assets import asset
from faceren.errors import MachineError
from faceren.faces.alignment import TEMPLATE
from faceren.networks.losses import perceptual_loss
from faceren.networks.perceptual import LpipsAlexNet
from faceren.networks.vgg import VggFeatures
from faceren.training.loss_recipe import LossRecipe
from faceren.training.objective import (
    Objective,
    build_judge,
    enlarged_eyes,
    inner_face,
    judgement_loss,
)
from faceren.training.views import phase_of

DAMAGED, OUTPUT, CLEAN = (
    torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in range(3)
)


def parts_of(objective, output, damaged, clean, judge, *, whole=None, phase=(0, 0)):
    views = objective.views(output, damaged, clean, whole=whole, phase=phase)
    return objective.parts(views, judge)


def test_what_weighs_nothing_is_not_built():
    objective = Objective(LossRecipe(l1=1))
    assert list(objective.parameters()) == []
    assert build_judge(LossRecipe(l1=1, lpips=1), seed=0) is None


def test_l1_is_the_mean_absolute_difference():
    objective = Objective(LossRecipe(l1=3))
    parts = parts_of(objective, CLEAN + 0.25, DAMAGED, CLEAN, None)
    assert parts["l1"].item() == pytest.approx(0.25)
    assert objective.total(parts).item() == pytest.approx(0.75)


def test_all_losses_add_up_by_weight():
    recipe = LossRecipe(l1=2, lpips=0.5, gan=0.25, features=10, discriminator_width=4)
    judge = build_judge(recipe, seed=0)
    parts = parts_of(Objective(recipe), OUTPUT, DAMAGED, CLEAN, judge)
    assert set(parts) == {"l1", "lpips", "gan", "features"}
    expected = sum(getattr(recipe, name) * part.item() for name, part in parts.items())
    assert Objective(recipe).total(parts).item() == pytest.approx(expected, rel=1e-6)


def test_a_perfect_output_has_no_distance():
    recipe = LossRecipe(l1=1, lpips=1, features=1, discriminator_width=4)
    parts = parts_of(Objective(recipe), CLEAN, DAMAGED, CLEAN, build_judge(recipe, seed=0))
    assert {name: part.item() for name, part in parts.items()} == {
        "l1": 0,
        "lpips": 0,
        "features": 0,
    }


def test_the_generators_losses_leave_the_discriminator_alone():
    recipe = LossRecipe(gan=1, features=1, discriminator_width=4)
    judge = build_judge(recipe, seed=0)
    output = OUTPUT.clone().requires_grad_()
    Objective(recipe).total(parts_of(Objective(recipe), output, DAMAGED, CLEAN, judge)).backward()
    assert output.grad is not None
    assert output.grad.abs().sum() > 0
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())


def test_the_discriminator_learns_to_tell_apart():
    judge = build_judge(LossRecipe(gan=1, discriminator_width=2), seed=0)
    optimiser = torch.optim.Adam(judge.parameters(), lr=1e-2)
    seen = []
    for _ in range(8):
        loss = judgement_loss(judge, *(x[..., :32, :32] for x in (DAMAGED, OUTPUT, CLEAN)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    assert seen[0] == pytest.approx(1, abs=0.05)  # scores near 0: 0 for restored, 1 for clean
    assert seen[-1] < 0.8


def test_the_discriminators_weights_come_from_the_seed():
    recipe = LossRecipe(gan=1, discriminator_width=4)
    before = torch.random.get_rng_state()
    one, same, other = (build_judge(recipe, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    first = [next(judge.parameters()) for judge in (one, same, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_the_grid_of_the_perceptual_losses_moves():
    phases = [phase_of(step) for step in range(16)]
    assert sorted(phases) == [(row, column) for row in range(4) for column in range(4)]
    assert phase_of(16) == phases[0]
    recipe = LossRecipe(lpips=1, gan=1, discriminator="projected", discriminator_width=4)
    judge, objective = build_judge(recipe, seed=0).eval(), Objective(recipe)
    found = parts_of(objective, OUTPUT, DAMAGED, CLEAN, judge, phase=(2, 1))
    cut = [x[:, :, 2:, 1:] for x in (OUTPUT, DAMAGED, CLEAN)]
    expected = parts_of(objective, *cut, judge)
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


def test_the_eyes_are_looked_at_enlarged():
    marked = torch.zeros(1, 3, 512, 512)
    for x, y in TEMPLATE[:2].round().astype(int):
        marked[..., y, x] = 1
    eyes = enlarged_eyes(marked)
    assert eyes.shape[2:] == (128, 428)
    assert eyes.sum() == pytest.approx(4 * marked.sum())
    assert enlarged_eyes(marked[..., ::2, ::2]).shape[2:] == (64, 214)


def test_eyes_are_those_of_whole_faces_only():
    objective = Objective(LossRecipe(eyes=2))
    output, clean = (torch.rand(2, 3, 160, 160) for _ in range(2))
    seen = (enlarged_eyes(x[1:])[:, :, 1:, 2:] for x in (output, clean))
    expected = LpipsAlexNet(asset("lpips-alexnet"))(*seen)
    whole = torch.tensor([False, True])
    found = parts_of(objective, output, output, clean, None, whole=whole, phase=(1, 2))
    assert found["eyes"].item() == pytest.approx(expected.item(), rel=1e-5)
    output.requires_grad_()
    none = parts_of(objective, output, output, clean, None, whole=torch.tensor([False, False]))
    none["eyes"].backward()
    assert none["eyes"] == 0
    assert not output.grad.any()


def test_alexnet_sees_each_batch_once(monkeypatch):
    recipe = LossRecipe(
        lpips=1, gan=1, features=1, discriminator="projected", discriminator_width=4
    )
    judge, objective = build_judge(recipe, seed=0), Objective(recipe)
    seen, maps = [], objective.lpips.maps
    monkeypatch.setattr(objective.lpips, "maps", lambda x: seen.append(x) or maps(x))
    views = objective.views(OUTPUT, DAMAGED, CLEAN, phase=(1, 2))
    objective.parts(views, judge)
    judgement_loss(judge, *objective.shown(views.detached())).backward()
    assert len(seen) == 3
    for found, images in zip(seen, (OUTPUT, DAMAGED, CLEAN), strict=True):
        assert torch.equal(found, images[:, :, 1:, 2:])


def test_shared_maps_change_no_loss():
    recipe = LossRecipe(lpips=1, gan=1, discriminator="projected", discriminator_width=4)
    judge, objective = build_judge(recipe, seed=0).eval(), Objective(recipe)
    parts = parts_of(objective, OUTPUT, DAMAGED, CLEAN, judge)
    alexnet = LpipsAlexNet(asset("lpips-alexnet"))
    assert parts["lpips"].item() == pytest.approx(alexnet(OUTPUT, CLEAN).mean().item(), rel=1e-6)
    judged = judge(*([x, *alexnet.maps(x)] for x in (DAMAGED, OUTPUT)))
    expected = sum((scale[-1] - 1).square().mean() for scale in judged) / len(judged)
    assert parts["gan"].item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("whole", [[True, False], [False, False]])
def test_parts_of_the_face_have_judges_of_their_own(whole):
    recipe = LossRecipe(
        gan=1,
        features=1,
        discriminator="projected",
        discriminator_inner=True,
        discriminator_eyes=True,
        discriminator_width=4,
    )
    judge, objective = build_judge(recipe, seed=0).eval(), Objective(recipe)
    output, damaged, clean = (
        torch.rand(2, 3, 208, 208, generator=torch.Generator().manual_seed(k)) for k in range(3)
    )
    chosen = torch.tensor(whole)
    views = objective.views(output.requires_grad_(), damaged, clean, whole=chosen)
    parts = objective.parts(views, judge)
    alexnet = LpipsAlexNet(asset("lpips-alexnet"))
    inner, eyes = (
        [part(x[chosen]) for x in (damaged, output)] for part in (inner_face, enlarged_eyes)
    )
    scores = [
        (scale[-1] - 1).square()
        for judges, pair in (
            (judge.whole, (damaged, output)),
            (judge.inner, inner),
            (judge.eyes, eyes),
        )
        for scale in judges(*([x, *alexnet.maps(x)] for x in pair))
    ]
    assert [len(score) for score in scores] == [2] * 6 + [sum(whole)] * 12
    expected = sum(score.mean().item() for score in scores if len(score)) / 18
    assert parts["gan"].item() == pytest.approx(expected, rel=1e-5)
    objective.total(parts).backward()
    assert output.grad.abs().sum((1, 2, 3)).all()  # in a step without faces, too
    loss = judgement_loss(judge, *objective.shown(views.detached()))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad is not None for parameter in judge.parameters())
    for judges in (judge.inner, judge.eyes):
        assert any(p.grad.any() for p in judges.parameters()) == any(whole)


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


def test_vgg_looks_at_the_inner_face_of_whole_faces_only(tmp_path):
    path = tmp_path / "vgg.safetensors"
    write_vgg16(path)
    objective = Objective(LossRecipe(inner_vgg=2, vgg_weights=str(path)))
    output, clean = (torch.rand(2, 3, 128, 128) for _ in range(2))
    features = VggFeatures(path, imagenet_normalised=True)
    ours, theirs = (features(inner_face(x[1:])[:, :, 3:, 1:])[:3] for x in (output, clean))
    expected = sum((a - b).abs().mean().item() for a, b in zip(ours, theirs, strict=True))
    whole = torch.tensor([False, True])
    output.requires_grad_()
    found = parts_of(objective, output, output, clean, None, whole=whole, phase=(3, 1))
    assert found["inner_vgg"].item() == pytest.approx(expected, rel=1e-5)
    found["inner_vgg"].backward()
    assert output.grad[1].any()
    assert not output.grad[0].any()
    output.grad = None
    none = parts_of(objective, output, output, clean, None, whole=torch.zeros(2, dtype=torch.bool))
    objective.total(none).backward()
    assert none["inner_vgg"] == 0
    assert not output.grad.any()


def test_missing_vgg_weights_are_told(tmp_path):
    with pytest.raises(MachineError, match="expected VGG weights at"):
        Objective(LossRecipe(vgg=1, vgg_weights=str(tmp_path / "none.safetensors")))
