"""Published state dicts of other papers: their keys, how they are wrapped, which are refused."""

import re

import pytest
import torch

from faceren.checkpoint import load_checkpoint, recognised
from faceren.config import BaselineConfig
from faceren.errors import ConfigError
from faceren.networks.baselines.baseline import Baseline
from faceren.networks.baselines.published import import_baseline
from tests.networks.shapes import BASELINES
from tests.networks.test_baselines import SIDES, picture, tiny

LISTED = {
    "edsr": {
        "sub_mean.weight": (3, 3, 1, 1),
        "sub_mean.bias": (3,),
        "add_mean.bias": (3,),
        "head.0.weight": (256, 3, 3, 3),
        "body.0.body.0.weight": (256, 256, 3, 3),
        "body.31.body.2.bias": (256,),
        "body.32.weight": (256, 256, 3, 3),
        "tail.0.0.weight": (1024, 256, 3, 3),
        "tail.0.2.weight": (1024, 256, 3, 3),
        "tail.1.bias": (3,),
    },
    "srresnet": {
        "block1.0.weight": (64, 3, 9, 9),
        "block1.1.weight": (1,),
        "block2.bn1.running_mean": (64,),
        "block6.prelu.weight": (1,),
        "block7.1.weight": (64,),
        "block8.0.conv.weight": (256, 64, 3, 3),
        "block8.1.prelu.weight": (1,),
        "block8.2.weight": (3, 64, 9, 9),
    },
    "esrgan": {
        "conv_first.weight": (64, 3, 3, 3),
        "body.0.rdb1.conv1.weight": (32, 64, 3, 3),
        "body.22.rdb3.conv5.weight": (64, 192, 3, 3),
        "conv_body.bias": (64,),
        "conv_up2.weight": (64, 64, 3, 3),
        "conv_hr.weight": (64, 64, 3, 3),
        "conv_last.weight": (3, 64, 3, 3),
    },
    "srfbn": {
        "conv_in.0.weight": (256, 3, 3, 3),
        "feat_in.1.weight": (1,),
        "block.compress_in.0.weight": (64, 128, 1, 1),
        "block.upBlocks.5.0.weight": (64, 64, 8, 8),
        "block.downtranBlocks.4.0.weight": (64, 384, 1, 1),
        "block.compress_out.0.weight": (64, 384, 1, 1),
        "out.0.weight": (64, 64, 8, 8),
        "conv_out.0.weight": (3, 64, 3, 3),
    },
    "ridnet": {
        "sub_mean.weight": (3, 3, 1, 1),
        "head.body.0.weight": (64, 3, 3, 3),
        "b1.r1.body2.2.weight": (64, 64, 3, 3),
        "b2.r1.body3.0.weight": (64, 128, 3, 3),
        "b3.r3.body.4.weight": (64, 64, 1, 1),
        "b4.ca.c1.body.0.weight": (4, 64, 1, 1),
        "tail.weight": (3, 64, 3, 3),
    },
    "vdnet": {
        "DNet.down_path.3.block.2.weight": (512, 512, 3, 3),
        "DNet.up_path.0.up.weight": (512, 256, 2, 2),
        "DNet.up_path.2.conv_block.block.0.weight": (64, 128, 3, 3),
        "DNet.last.weight": (6, 64, 3, 3),
        "SNet.mid_layer.4.weight": (64, 64, 3, 3),
        "SNet.conv_last.bias": (6,),
    },
    "deblurgan": {
        "model.1.weight": (64, 3, 7, 7),
        "model.7.weight": (256, 128, 3, 3),
        "model.18.conv_block.6.weight": (256, 256, 3, 3),
        "model.19.weight": (256, 128, 3, 3),
        "model.26.bias": (3,),
    },
    "deblurganv2": {
        "fpn.features.0.0.weight": (32, 3, 3, 3),
        "fpn.features.1.conv.3.weight": (16, 32, 1, 1),
        "fpn.features.15.conv.6.weight": (160, 960, 1, 1),
        "fpn.lateral0.weight": (64, 16, 1, 1),
        "fpn.lateral4.weight": (128, 160, 1, 1),
        "fpn.td1.0.weight": (128, 128, 3, 3),
        "head4.block0.weight": (64, 128, 3, 3),
        "smooth.0.weight": (64, 256, 3, 3),
        "smooth2.0.weight": (32, 64, 3, 3),
        "final.weight": (3, 32, 3, 3),
    },
    "arcnn": {
        "base.0.weight": (64, 3, 9, 9),
        "base.1.weight": (1,),
        "base.2.weight": (32, 64, 7, 7),
        "base.4.weight": (16, 32, 1, 1),
        "last.weight": (3, 16, 5, 5),
    },
}
"""Some keys of published files, and the shapes that are in them."""
SHAPES = {"srresnet": {"blocks": 5}}


@pytest.mark.parametrize("architecture", LISTED)
def test_keys_and_shapes_are_the_published_ones(architecture):
    config = BaselineConfig(architecture=architecture, **SHAPES.get(architecture, {}))
    with torch.device("meta"):
        state = Baseline(config).body.state_dict()
    for key, shape in LISTED[architecture].items():
        assert key in state, key
        assert tuple(state[key].shape) == shape, key


@pytest.mark.parametrize("architecture", LISTED)
def test_a_published_file_is_told_by_its_keys_and_gives_its_network(architecture, tmp_path):
    shape = BASELINES[architecture] | ({"blocks": 2} if architecture == "edsr" else {})
    torch.manual_seed(1)
    network = Baseline(BaselineConfig(architecture=architecture, **shape)).eval()
    state = {f"module.{key}": value for key, value in network.body.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "theirs.pth")
    loaded = load_checkpoint(tmp_path / "theirs.pth")
    assert loaded.config == network.config
    assert loaded.info.name == "theirs"
    face = picture(SIDES.get(architecture, 32)).double()
    with torch.no_grad():
        theirs, ours = network.double()(face), loaded.network.double()(face)
    assert torch.allclose(ours, theirs, atol=1e-9)
    assert recognised(tmp_path / "theirs.pth")


def test_what_decides_no_pixel_is_left_out(tmp_path):
    state = tiny("deblurganv2").body.state_dict()
    state["fpn.features.2.conv.1.running_mean"] = torch.zeros(96)
    state["fpn.features.18.0.weight"] = torch.zeros(1280, 320, 1, 1)
    state |= {
        f"fpn.enc0.{k}": v for k, v in tiny("deblurganv2").body.fpn.features.state_dict().items()
    }
    torch.save({"model": state}, tmp_path / "fpn_mobilenet.h5")
    assert load_checkpoint(tmp_path / "fpn_mobilenet.h5").config.architecture == "deblurganv2"


def test_files_of_a_torch_that_counted_no_batches():
    state = tiny("srresnet").body.state_dict()
    older = {key: value for key, value in state.items() if "num_batches" not in key}
    config, tensors = import_baseline(older)
    assert set(tensors) == {f"body.{key}" for key in state}
    assert config == tiny("srresnet").config


def test_edsr_of_three_times_is_told_by_its_single_step():
    network = Baseline(BaselineConfig(architecture="edsr", width=4, blocks=2, scale=3))
    assert import_baseline(network.body.state_dict())[0] == network.config


def test_esrgan_under_its_first_names_is_the_same_network():
    state = tiny("esrgan").body.state_dict()
    first = {
        "body.0.rdb": "RRDB_trunk.0.RDB",
        "conv_body": "trunk_conv",
        "conv_up": "upconv",
        "conv_hr": "HRconv",
    }
    older = {}
    for key, value in state.items():
        for now, then in first.items():
            key = key.replace(now, then)
        older[key] = value
    config, tensors = import_baseline(older)
    assert config == tiny("esrgan").config
    assert set(tensors) == {f"body.{key}" for key in state}


def test_esrgan_of_another_input_is_left_to_others():
    state = tiny("esrgan").body.state_dict()
    assert import_baseline(state | {"conv_first.weight": torch.zeros(4, 12, 3, 3)}) is None


def test_a_file_that_is_not_whole_is_named(tmp_path):
    state = tiny("arcnn").body.state_dict()
    del state["last.bias"]
    state["base.2.weight"] = torch.zeros(2, 4, 5, 5)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(ConfigError, match=re.escape("x.pth: the weights do not fit arcnn: ")):
        load_checkpoint(tmp_path / "x.pth")
    assert recognised(tmp_path / "x.pth")


@pytest.mark.parametrize("architecture", LISTED)
def test_marks_of_another_shape_are_none(architecture):
    state = tiny(architecture).body.state_dict()
    for value in (torch.zeros(()), torch.zeros(3), torch.zeros(0)):
        assert import_baseline(dict.fromkeys(state, value)) is None


def test_claimed_sizes_are_bounded():
    state = {key: torch.zeros(1, 1, 1, 1) for key in tiny("arcnn").body.state_dict()}
    with pytest.raises(ConfigError, match="expected a multiple of 4 for arcnn, got 1"):
        import_baseline(state)
    huge = state | {"base.0.weight": torch.empty(2000, 3, 9, 9, device="meta")}
    with pytest.raises(ConfigError, match="baseline.width: expected"):
        import_baseline(huge)


def test_other_state_dicts_are_not_taken_for_one_of_these(tmp_path):
    assert import_baseline({"conv.weight": torch.zeros(1)}) is None
    assert import_baseline({}) is None
    assert import_baseline({"state_dict": {"head.0.weight": torch.zeros(4, 3, 3, 3)}}) is None
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "x.pth")
    assert not recognised(tmp_path / "x.pth")
