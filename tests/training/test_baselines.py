"""Networks of other papers go through recipe, training, checkpoint and restoration as ours do."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from faceren.assets import models_dir, recipe_path
from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.commands.models import export, models
from faceren.config import PUBLISHED_SHAPES, BaselineConfig
from faceren.engines import load_engine
from faceren.errors import ConfigError, MachineError, ShapeError
from faceren.inference import load_restorer
from faceren.networks.baselines.baseline import Baseline
from faceren.training.recipe_file import dump_recipe, load_recipe
from faceren.training.setup import initial_network
from faceren.weights import METADATA_KEY, CheckpointInfo, read_header, read_weights
from tests.networks.shapes import BASELINES
from tests.training.tiny import finished, losses, run, write_recipe

RECIPES = sorted((models_dir() / "baselines").glob("*.yaml"))
NAMES = [path.stem for path in RECIPES if path.stem != "common"]


def recipe(folder, architecture, **sections):
    """Write the tiny recipe for another paper's network."""
    shape = {"architecture": architecture, **BASELINES[architecture]}
    path = write_recipe(folder, baseline=shape, **sections)
    tree = yaml.safe_load(path.read_text())
    del tree["model"]
    path.write_text(yaml.safe_dump(tree))
    return path


def saved(folder, architecture):
    path = folder / f"{architecture}.safetensors"
    torch.manual_seed(0)
    network = Baseline(BaselineConfig(architecture=architecture, **BASELINES[architecture]))
    save_checkpoint(path, network, info=CheckpointInfo(name=architecture), half=False)
    return path


def test_there_is_a_recipe_for_every_architecture():
    assert sorted(NAMES) == sorted(PUBLISHED_SHAPES)
    stems = [path.stem for path in models_dir().rglob("*.yaml")]
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_read_and_their_networks_fit_their_images(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = load_recipe(recipe_path(Path(name)))
    assert plan.name == plan.baseline.architecture == name
    assert recipe_path(Path("models/baselines") / f"{name}.yaml") == recipe_path(Path(name))
    for size in (plan.data.size, plan.validate.size):
        assert size % plan.baseline.stride == 0
        assert size >= 2 * plan.baseline.stride


@pytest.mark.parametrize("architecture", ["srresnet", "gfrnet"])
def test_training_writes_a_checkpoint_that_goes_on_and_restores(tmp_path, architecture):
    path = recipe(tmp_path, architecture, train={"steps": 6, "lr": 3e-3, "schedule": "constant"})
    events = run(path, tmp_path / "run")
    assert losses(events)[-1] < losses(events)[0]
    weights = finished(events).weights
    loaded = load_checkpoint(weights)
    assert loaded.config == BaselineConfig(architecture=architecture, **BASELINES[architecture])
    assert loaded.info.name == "tiny"
    assert isinstance(loaded.network, Baseline)
    again = run(path, tmp_path / "run", "train.steps=8", allow_change=True)
    assert len(losses(again)) == 2


def test_a_checkpoint_says_which_network_it_is(tmp_path):
    path = saved(tmp_path, "srresnet")
    config, info = read_header(path)
    assert (config.architecture, info.name) == ("srresnet", "srresnet")
    network = load_checkpoint(path).network
    assert not network.training
    assert network.body.block2.bn1.num_batches_tracked == 0
    with pytest.raises(ConfigError, match="got srresnet, which runs in torch only"):
        read_weights(path)
    with pytest.raises(ConfigError, match="got srresnet, which runs in torch only"):
        export(str(path), tmp_path / "x.onnx")


def test_one_network_offered_as_another_is_named(tmp_path):
    path = saved(tmp_path, "edsr")
    tensors = load_file(path)
    header = '{"format_version": 1, "info": {}, "baseline": {"architecture": "ridnet", "width": 4}}'
    save_file(tensors, path, {METADATA_KEY: header})
    with pytest.raises(ConfigError, match=r"edsr.safetensors: the weights do not fit ridnet: .*"):
        load_checkpoint(path)


def test_weights_to_start_from_must_be_of_the_same_architecture(tmp_path):
    arcnn = saved(tmp_path, "arcnn")
    plan = load_recipe(recipe(tmp_path, "edsr"), [f"init={arcnn}"])
    with pytest.raises(ConfigError, match="arcnn.safetensors holds arcnn, the section baseline "):
        initial_network(plan)
    plan = load_recipe(recipe(tmp_path, "arcnn"), [f"init={arcnn}", "baseline.width=8"])
    with pytest.raises(ConfigError, match="another shape than baseline: width 4, not 8; remove"):
        initial_network(plan)
    plan = load_recipe(recipe(tmp_path, "arcnn"), [f"init={arcnn}"])
    start = initial_network(plan).state_dict()
    assert all(torch.equal(start[key], value) for key, value in load_file(arcnn).items())
    ours = load_recipe(write_recipe(tmp_path), [f"init={arcnn}"])
    with pytest.raises(ConfigError, match="holds arcnn, the section model asks for a HiFaceGAN"):
        initial_network(ours)


def test_a_recipe_has_one_network(tmp_path):
    with pytest.raises(ConfigError, match="baseline: expected no model, detector or widen"):
        load_recipe(write_recipe(tmp_path, baseline={"architecture": "edsr"}))
    path = recipe(tmp_path, "edsr")
    (tmp_path / "again.yaml").write_text(dump_recipe(load_recipe(path)))
    assert load_recipe(tmp_path / "again.yaml") == load_recipe(path)
    with pytest.raises(ConfigError, match="unknown key 'baseline.depth'"):
        load_recipe(path, ["baseline.depth=3"])


def test_what_no_output_depends_on_is_not_trained(tmp_path):
    network = initial_network(load_recipe(recipe(tmp_path, "vdnet")))
    still = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert still
    assert all(name.startswith("body.SNet.") for name in still)


def test_restoring_takes_torch_by_itself(tmp_path):
    path = saved(tmp_path, "edsr")
    engine = load_engine(path, device="cpu")
    assert engine.computed == "torch cpu fp32"
    picture = np.random.default_rng(0).random((37, 50, 3), np.float32)
    (restored,) = engine.restore_pictures([picture])
    assert restored.shape == picture.shape
    with pytest.raises(ConfigError, match="edsr.safetensors, edsr, needs --engine torch"):
        load_engine(path, device="cpu", engine="onnx")


def test_a_guided_network_restores_no_photo_alone(tmp_path):
    path = saved(tmp_path, "gfrnet")
    with pytest.raises(ConfigError, match=r"needs a second image .* faceren benchmark --guides"):
        load_engine(path, device="cpu")
    restorer = load_restorer(path, device="cpu")
    with pytest.raises(ShapeError, match=r"expected \(N, 6, H, W\)"):
        restorer.restore(torch.zeros(1, 3, 32, 32))
    assert restorer.restore(torch.zeros(1, 6, 33, 32)).shape == (1, 3, 33, 32)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MachineError, match="there is no such file"):
        load_engine(tmp_path / "none.safetensors", device="cpu")
    assert {model.name for model in models()} == {"base", "compact"}
