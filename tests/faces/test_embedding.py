import numpy as np
import pytest
import torch

from faceren.assets import asset, samples_dir
from faceren.errors import MachineError
from faceren.faces import dlib_networks
from faceren.graphs.embedding import ALL, _layer_sizes, read_embedding
from faceren.images import find_images, read_rgb
from faceren.networks.perceptual import EmbeddingNetwork

CENTRE, SIDE = (128, 153), 150


def levels(chips):
    return torch.from_numpy(chips).permute(0, 3, 1, 2).float()


@pytest.fixture
def chips():
    return np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), dtype=np.uint8)


def test_it_computes_what_dlib_computes():
    import dlib

    theirs = dlib.face_recognition_model_v1(str(asset("dlib-embedding")))
    for found in list(find_images([samples_dir() / "clean"]))[:2]:
        face = np.ascontiguousarray(read_rgb(found.path)[::2, ::2])
        box = dlib_networks.rectangle(CENTRE, SIDE)
        shape = dlib_networks._predictor(5)(face, box)
        expected = np.array(theirs.compute_face_descriptor(face, shape, 1))
        np.testing.assert_allclose(dlib_networks.embedding(face, box), expected, atol=2e-6)


def test_torch_computes_the_same(chips):
    network = EmbeddingNetwork(asset("dlib-embedding"))
    session = dlib_networks._network()
    (ours,) = session.run({"chips": chips.astype(np.float32)})
    np.testing.assert_allclose(ours, network(levels(chips)).numpy(), atol=2e-6)
    for chip in chips[:2]:
        maps = network.maps(levels(chip[None]), dlib_networks.STAGES)
        parts = (maps.mean((2, 3)), torch.nn.functional.adaptive_avg_pool2d(maps, 3).flatten(1))
        np.testing.assert_allclose(
            dlib_networks.describe(chip), torch.cat(parts, dim=1)[0].numpy(), atol=1e-5
        )


def test_a_face_does_not_depend_on_its_neighbours(chips):
    for stages in (dlib_networks.STAGES, ALL):
        (together,) = dlib_networks._network(stages).run({"chips": chips.astype(np.float32)})
        (alone,) = dlib_networks._network(stages).run({"chips": chips[1:2].astype(np.float32)})
        assert (together[1] == alone[0]).all()


def test_the_file_holds_29_convolutions_of_the_sizes_of_the_paper():
    sizes = [channels * before * side**2 + channels for channels, before, side in _layer_sizes()]
    weights = read_embedding(asset("dlib-embedding"))
    assert [kernel.size + bias.size for kernel, bias in weights.layers] == sizes
    assert len(sizes) == 29
    assert weights.last.shape == (256, 128)


def test_another_file_is_refused(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"\x01\x05con_4\x01\x02\x01\x01\x01\x01\x01\x01\x01\x01" * 3)
    with pytest.raises(MachineError, match="not the layers"):
        read_embedding(tmp_path / "a.dat")
