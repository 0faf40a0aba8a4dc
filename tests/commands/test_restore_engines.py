"""Whole photos by both engines: how near they come, what is recorded, what counts as unchanged."""

import sys

import numpy as np
import pytest
from PIL import Image

from faceren.runs.manifest import read_manifest
from tests.calls import restored

COMPACT = ("--model", "compact", "--no-report")


@pytest.fixture
def photo(astronaut, tmp_path):
    """A folder with one portrait, twice in a row, of 448×224 pixels."""
    (tmp_path / "in").mkdir()
    face = astronaut[:224, 110:334]
    Image.fromarray(np.hstack([face, face[:, ::-1]])).save(tmp_path / "in" / "a.png")
    return tmp_path / "in"


def levels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def test_the_engines_differ_by_a_level_and_what_one_has_made_the_other_makes_anew(
    photo, tmp_path, run
):
    out = tmp_path / "out"
    found = {}
    for engine in ("onnx", "torch"):
        assert run("restore", photo, "-o", out, "--engine", engine, *COMPACT)[0] == 0
        manifest = read_manifest(out / "manifest.jsonl")
        assert manifest.header["engine"] == f"{engine} cpu fp32"
        faces = manifest.items["a.png"]["faces"]
        assert manifest.items["a.png"]["status"] == "restored"
        found[engine] = levels(out / "a.png"), [face["identity_distance"] for face in faces]
        again = run("restore", photo, "-o", out, "--engine", engine, *COMPACT)[2]
        assert "nothing has changed" in again
    (ours, near), (theirs, as_near) = found["onnx"], found["torch"]
    assert abs(ours - theirs).max() <= 1
    assert abs(ours - levels(photo / "a.png")).max() > 1
    assert len(near) == 2
    np.testing.assert_allclose(near, as_near, rtol=0, atol=0.002)
    assert "nothing has changed" not in run("restore", photo, "-o", out, *COMPACT)[2]  # onnx again


def test_no_number_of_cores_and_no_batch_changes_a_byte(photo, tmp_path, monkeypatch):
    made = set()
    for cores, batch, workers in ((1, 1, 1), (2, 8, 2), (3, 2, 1), (4, 5, 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", str(cores))
        out = tmp_path / str(cores)
        (result,) = restored([photo], out, model="compact", batch_size=batch, workers=workers)
        assert result.status == "restored"
        made.add(result.output.read_bytes())
    assert len(made) == 1


def test_an_exported_network_is_no_model(photo, tmp_path, run):
    assert run("export", "compact", "-o", tmp_path / "net.onnx")[0] == 0
    status, _, stderr = run("restore", photo, "-o", tmp_path / "out", "-m", tmp_path / "net.onnx")
    assert status == 4
    assert "net.onnx, got an exported network" in stderr
    assert not any((tmp_path / "out").glob("*"))


def test_a_gpu_without_torch_is_told_of_and_the_cpu_goes_on(photo, tmp_path, run, monkeypatch):
    monkeypatch.setattr("faceren.engines.sys.platform", "linux")
    monkeypatch.setattr("faceren.engines.GPU_FILES", (str(tmp_path),))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("faceren.engines.importlib.util.find_spec", lambda _: None)
    out, said = tmp_path / "out", "a GPU would need torch, which is not installed; install it: pip"
    asked = ["restore", photo, "-o", out, *COMPACT]
    status, _, stderr = run(*asked, "--device", "auto")
    assert (status, stderr.count(said)) == (0, 1)
    status, _, stderr = run(*asked, "--device", "cpu")
    assert (status, stderr.count(said)) == (0, 0)
    assert "nothing has changed" in stderr
