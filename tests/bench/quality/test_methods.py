"""Folder in, folder out: nothing is done twice, and evaluate finds the clean faces."""

import numpy as np
import pytest

from faceren.bench.quality.methods import Filter, Network, Untouched
from faceren.errors import ImageError
from faceren.images import read_rgb
from faceren.runs.manifest import read_manifest
from tests.calls import degraded, evaluated


@pytest.fixture
def damaged(faces, tmp_path):
    degraded([faces], tmp_path / "input", task="denoise", size=64)
    return tmp_path / "input"


def inverting(calls, settings="v1"):
    def invert(image):
        calls.append(image.shape)
        return 255 - image

    return Filter(name="invert", kind="classical", note="", settings=settings, function=invert)


def test_a_filter_sees_every_image_once(damaged, tmp_path):
    calls = []
    for _ in range(2):
        folder = inverting(calls).renew(damaged, tmp_path / "out")
    assert calls == [(64, 64, 3)] * 2
    inverting(calls).renew(damaged, tmp_path / "out", overwrite=True)
    assert len(calls) == 4
    name = "more/b.png"
    assert np.array_equal(read_rgb(folder / name), 255 - read_rgb(damaged / name))


def test_other_settings_or_a_changed_output_are_done_again(damaged, tmp_path):
    calls = []
    inverting(calls).renew(damaged, tmp_path / "out")
    inverting(calls, "v2").renew(damaged, tmp_path / "out")
    assert len(calls) == 4
    (tmp_path / "out" / "a.png").write_bytes(b"other")
    inverting(calls, "v2").renew(damaged, tmp_path / "out")
    assert len(calls) == 5


def test_an_interrupted_filter_goes_on(damaged, tmp_path):
    done = []

    def fail_on_the_second(image):
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return image

    method = Filter(name="x", kind="peer", note="", settings="s", function=fail_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        method.renew(damaged, tmp_path / "out")
    calls = []
    again = Filter(
        name="x", kind="peer", note="", settings="s", function=lambda x: calls.append(1) or x
    )
    again.renew(damaged, tmp_path / "out")
    assert len(calls) == 1


def test_the_manifest_leads_back_to_the_clean_faces_and_tells_the_time(damaged, tmp_path):
    folder = inverting([]).renew(damaged, tmp_path / "out")
    scores = evaluated(folder, metrics=("psnr",))
    assert scores.scores.metrics["psnr"].n == 2
    lines = read_manifest(folder / "manifest.jsonl").items.values()
    assert all(line["faces"][0]["ms"] >= 0 for line in lines)


def test_untouched_is_the_degraded_folder(damaged, tmp_path):
    assert Untouched().renew(damaged, tmp_path / "out") == damaged
    assert not (tmp_path / "out").exists()


def test_a_network_that_fails_says_which_photo(damaged, tmp_path):
    (damaged / "a.png").write_bytes(b"no image")
    network = Network(name="compact", model="compact", weights_sha256="0", device="cpu")
    with pytest.raises(ImageError, match=r"a\.png"):
        network.renew(damaged, tmp_path / "out")
