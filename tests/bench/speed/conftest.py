import pytest
import torch

from faceren.bench.benchmark import load
from faceren.bench.request import Request
from faceren.checkpoint import save_checkpoint
from faceren.config import GeneratorConfig
from faceren.inference import load_restorer
from faceren.networks.generator import build_generator
from faceren.weights import CheckpointInfo

TINY = GeneratorConfig(width=4, depth=2, max_multiplier=2, hidden=4, spectral_norm=False)


@pytest.fixture(scope="package")
def tiny_weights(tmp_path_factory):
    """A checkpoint of a network of some thousand weights."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    torch.manual_seed(0)
    network = build_generator(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_checkpoint(path, network, info=CheckpointInfo(name="tiny"), half=False)
    return path


@pytest.fixture
def restorer(tiny_weights):
    return load_restorer(tiny_weights, device="cpu")


@pytest.fixture(scope="package")
def shipped():
    return load(Request(device="cpu"))
