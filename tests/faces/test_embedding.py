import numpy as np
import pytest

from faceren.assets import asset, samples_dir
from faceren.errors import MachineError
from faceren.faces import identity
from faceren.faces.embedding import EmbeddingNetwork, _blobs, _layer_sizes
from faceren.images import find_images, read_rgb

CENTRE, SIDE = (128, 153), 150


def test_it_computes_what_dlib_computes():
    import dlib

    theirs = dlib.face_recognition_model_v1(str(asset("dlib-embedding")))
    for found in list(find_images([samples_dir() / "clean"]))[:2]:
        face = np.ascontiguousarray(read_rgb(found.path)[::2, ::2])
        box = identity.rectangle(CENTRE, SIDE)
        shape = identity._predictor(5)(face, box)
        expected = np.array(theirs.compute_face_descriptor(face, shape, 1))
        np.testing.assert_allclose(identity.embedding(face, box), expected, atol=2e-6)


def test_a_face_does_not_depend_on_its_neighbours():
    network = EmbeddingNetwork(asset("dlib-embedding"))
    chips = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), dtype=np.uint8)
    np.testing.assert_allclose(network.embed(chips)[1], network.embed(chips[1:2])[0], atol=1e-6)


def test_the_file_holds_29_convolutions_of_the_sizes_of_the_paper():
    blobs = list(_blobs(asset("dlib-embedding").read_bytes()))
    sizes = [channels * before * side**2 + channels for channels, before, side in _layer_sizes()]
    assert [len(blob) for blob in blobs[0:-1:2]] == sizes
    assert len(sizes) == 29
    assert len(blobs[-1]) == 256 * 128


def test_another_file_is_refused(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"\x01\x05con_4\x01\x02\x01\x01\x01\x01\x01\x01\x01\x01" * 3)
    with pytest.raises(MachineError, match="not the layers"):
        EmbeddingNetwork(tmp_path / "a.dat")
