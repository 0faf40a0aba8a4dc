import pytest
import torch

from faceren.config import GeneratorConfig
from faceren.errors import ConfigError
from faceren.networks.generator import build_generator
from faceren.networks.published import import_published
from tests.networks.literal import LiteralGenerator, randomise


def literal(variant, width, **changes):
    config = GeneratorConfig(variant=variant, width=width, suppression="lip", **changes)
    return randomise(LiteralGenerator(config).double())


def basicsr(state):
    return {key.replace("G_middle", "g_middle"): value for key, value in state.items()}


@pytest.mark.parametrize(
    ("variant", "tensors"), [("hifacegan", 230), ("lipspade", 230), ("spade", 204)]
)
def test_the_test_layout_has_the_published_number_of_tensors(variant, tensors):
    assert len(literal(variant, 2).state_dict()) == tensors


@pytest.mark.parametrize("variant", ["hifacegan", "lipspade", "spade"])
@pytest.mark.parametrize("width", [1, 3])
def test_imported_network_equals_the_published_one(variant, width):
    network = literal(variant, width)
    config, state = import_published(network.state_dict())
    assert config == network.config
    fast = build_generator(config).eval()
    fast.load_state_dict(state)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)).double()
    with torch.no_grad():
        expected = network(x)
        error = (fast.double()(x) - expected).abs().max()
    assert error < 1e-5 * expected.abs().max()  # the import is in float32


@pytest.mark.parametrize("width", [48, 64])
@pytest.mark.parametrize("variant", ["hifacegan", "lipspade", "spade"])
def test_full_widths_fit_by_shape(variant, width):
    config = GeneratorConfig(variant=variant, width=width, suppression="lip")
    with torch.device("meta"):
        state = LiteralGenerator(config).state_dict()
        found, ours = import_published(state)
        wanted = build_generator(config).state_dict()
    assert found == config
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in wanted.items()}


def test_shapes_named_in_error_logs_of_users():
    with torch.device("meta"):
        config = GeneratorConfig(variant="lipspade", width=48, suppression="lip")
        shapes = {k: tuple(v.shape) for k, v in LiteralGenerator(config).state_dict().items()}
    assert shapes["fc.weight"] == (768, 3, 3, 3)
    assert shapes["ups.3.norm_0.mlp_beta.weight"] == (96, 96, 3, 3)
    assert shapes["ups.3.norm_1.mlp_shared.0.weight"] == (48, 3, 3, 3)
    assert shapes["ups.2.norm_s.mlp_shared.0.weight"] == (128, 3, 3, 3)
    assert shapes["ups.3.conv_0.weight_orig"] == (48, 96, 3, 3)


def wrappings(state):
    with_prefix = {f"module.{key}": value for key, value in state.items()}
    return {
        "basicsr": basicsr(state),
        "prefix": with_prefix,
        "params": {"params": state},
        "params_ema": {"params_ema": with_prefix, "params": {}},
        "no buffers": {k: v for k, v in state.items() if "param_free_norm" not in k},
    }


@pytest.mark.parametrize("kind", ["basicsr", "prefix", "params", "params_ema", "no buffers"])
def test_wrappings_are_tolerated(kind):
    state = literal("lipspade", 1).state_dict()
    config, expected = import_published(state)
    found, ours = import_published(wrappings(state)[kind])
    assert found == config
    assert ours.keys() == expected.keys()
    assert all(ours[key].equal(expected[key]) for key in expected)


def test_without_spectral_norm_and_with_a_parsing_map():
    network = literal("spade", 2, guidance_channels=19, spectral_norm=False)
    config, _ = import_published(network.state_dict())
    assert config == network.config


def broken(change):
    state = dict(literal("hifacegan", 2).state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("ups.3.norm_1.mlp_beta.weight"),
            r"'hifacegan' generator of width 2.*'ups.3.norm_1.mlp_beta.weight': "
            r"expected shape \(2, 2, 3, 3\), got none",
        ),
        (
            lambda s: s.update({"encoder.encoder_5.1.bias": torch.zeros(32)}),
            r"'encoder.encoder_5.1.bias': not part of it, got shape \(32,\)",
        ),
        (
            lambda s: s.update({"to_rgbs.3.weight": torch.zeros(3, 4, 3, 3)}),
            r"'to_rgbs.3.weight': expected shape \(3, 2, 3, 3\), got \(3, 4, 3, 3\)",
        ),
        (lambda s: s.pop("fc.weight"), "expected a kernel under 'fc.weight', got none"),
        (
            lambda s: s.update({"fc.weight": torch.zeros(20, 3, 3, 3)}),
            r"'fc.weight' has shape \(20, 3, 3, 3\); expected a multiple of 16",
        ),
        (lambda s: s.update({"epoch": 3}), "got a int under 'epoch'"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        import_published(broken(change))


def test_many_misfits_are_counted():
    state = literal("spade", 2).state_dict()
    few = {key: value for key, value in state.items() if not key.startswith("ups.")}
    with pytest.raises(ConfigError, match=r"'ups.0.*; and \d+ more$"):
        import_published(few)


def test_an_empty_dict_is_no_state_dict():
    with pytest.raises(ConfigError, match="is this a state dict"):
        import_published({})
