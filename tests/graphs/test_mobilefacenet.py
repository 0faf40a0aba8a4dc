"""The graph, held against torch's own layers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from faceren.assets import asset
from faceren.graphs.mobilefacenet import CHIPS, OUTPUTS, embedding_graph
from faceren.graphs.session import session_of

# convolutions of table 1 (arXiv:1804.07573): width of the bottleneck, stride, width that it leaves
TABLE = [
    *[(128, 2, 64)] + [(128, 1, 64)] * 4,
    *[(256, 2, 128)] + [(256, 1, 128)] * 6,
    *[(512, 2, 128)] + [(256, 1, 128)] * 2,
]


@pytest.fixture(scope="module")
def arrays():
    return load_file(asset("mobilefacenet"))


@pytest.fixture
def chips():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (3, 112, 112, 3)).astype(np.float32)


def by_torch(arrays, chips):
    """Return the embeddings as the paper's table 1 says, layer by layer."""
    layers = {name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()}
    count = iter(range(100))

    def convolved(x, stride=1, padding=0, groups=1, rectified=True):
        name = f"{next(count):02d}"
        weight, bias = layers[f"{name}.weight"], layers[f"{name}.bias"]
        x = F.conv2d(x, weight, bias, stride, padding, groups=groups)
        return F.prelu(x, layers[f"{name}.slope"].flatten()) if rectified else x

    x = (torch.from_numpy(chips).permute(0, 3, 1, 2) - 127) / 128
    x = convolved(x, stride=2, padding=1)
    x = convolved(x, padding=1, groups=64)
    for width, stride, _ in TABLE:
        y = convolved(convolved(x), stride=stride, padding=1, groups=width)
        y = convolved(y, rectified=False)
        x = x + y if stride == 1 else y
    x = convolved(convolved(x), groups=512, rectified=False)
    return convolved(x, rectified=False).flatten(1).numpy()


def test_it_computes_what_the_paper_says(arrays, chips):
    (ours,) = session_of(embedding_graph(arrays), OUTPUTS).run({CHIPS: chips})
    theirs = by_torch(arrays, chips)
    assert ours.shape == (3, 512)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_the_file_holds_the_layers_of_the_papers_table(arrays):
    sizes = [(64, 3, 3, 3), (64, 1, 3, 3)]
    before = 64
    for width, _, after in TABLE:
        sizes += [(width, before, 1, 1), (width, 1, 3, 3), (after, width, 1, 1)]
        before = after
    sizes += [(512, 128, 1, 1), (512, 1, 7, 7), (512, 512, 1, 1)]
    found = [arrays[f"{number:02d}.weight"].shape for number in range(len(sizes))]
    assert found == sizes
    assert {array.dtype.name for array in arrays.values()} == {"float16"}


def test_a_face_does_not_depend_on_its_neighbours(arrays, chips):
    session = session_of(embedding_graph(arrays), OUTPUTS)
    (together,), (alone,) = session.run({CHIPS: chips}), session.run({CHIPS: chips[1:2]})
    assert (together[1] == alone[0]).all()
