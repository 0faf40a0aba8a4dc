"""faceren as programs use it."""

import doctest
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import faceren
from faceren.errors import ConfigError, MachineError, ShapeError

CPU = faceren.RunOptions(device="cpu", model="compact")


@pytest.fixture(scope="module")
def portrait(astronaut):
    return astronaut[20:240, 110:330]


def test_to_import_it_loads_nothing():
    code = (
        "import sys; before = set(sys.modules); import faceren; print(sorted(set(sys.modules) - "
        "before - {'faceren', 'typing', 'importlib._abc'}))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    loaded = eval(done.stdout)
    assert not {"torch", "numpy", "cv2", "PIL", "typer", "faceren.api"} & set(loaded)


def test_public_names_are_there_and_no_others():
    for name in faceren.__all__:
        assert getattr(faceren, name) is not None
    assert set(faceren.__all__) <= set(dir(faceren))
    with pytest.raises(AttributeError, match="no attribute 'repair_everything'"):
        _ = faceren.repair_everything


def test_an_array_is_restored_as_the_command_restores_its_file(portrait, tmp_path):
    made = faceren.restore(portrait, how=CPU)
    assert (made.status, len(made.faces), made.image.dtype) == ("restored", 1, np.uint8)
    assert made.image.shape == portrait.shape
    assert (made.image != portrait).any()
    Image.fromarray(portrait).save(tmp_path / "a.png")
    (result,) = faceren.restore_folder(tmp_path / "a.png", tmp_path / "out", how=CPU)
    with Image.open(result.output) as image:
        np.testing.assert_array_equal(np.asarray(image), made.image)
    assert [replace(face, ms=0) for face in result.faces] == [
        replace(face, ms=0) for face in made.faces
    ]
    again = faceren.restore(Image.fromarray(portrait), how=CPU).image
    assert isinstance(again, Image.Image)
    np.testing.assert_array_equal(np.asarray(again), made.image)


def test_an_image_is_enlarged_where_its_faces_are_small(portrait):
    made = faceren.restore(portrait, faceren.RestoreOptions(scale="auto"), how=CPU)
    twice = faceren.restore(portrait, faceren.RestoreOptions(scale=2), how=CPU)
    assert (made.scale, twice.scale, made.image.shape) == (2, 2, (440, 440, 3))
    np.testing.assert_array_equal(made.image, twice.image)
    large = faceren.restore(np.repeat(np.repeat(portrait, 2, 0), 2, 1), how=CPU)
    assert (large.scale, large.image.shape) == (1, (440, 440, 3))


def test_depth_and_gray_are_kept(portrait):
    deep = portrait[..., 1].astype(np.uint16) * 257
    made = faceren.restore(deep, faceren.RestoreOptions(strength=0.0), how=CPU)
    assert made.image.dtype == np.uint16
    np.testing.assert_array_equal(made.image, deep)


def test_an_image_without_a_face_comes_back_as_it_was():
    plain = np.full((64, 96, 3), 120, np.uint8)
    made = faceren.restore(plain, how=CPU)
    assert (made.status, made.reason, made.faces) == ("no_face", "no face found", ())
    np.testing.assert_array_equal(made.image, plain)
    seen = Image.fromarray(plain)
    seen.getexif()[0x0112] = 6
    assert faceren.restore(seen, how=CPU).image.size in ((96, 64), (64, 96))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros(8, np.uint8),
    ],
)
def test_another_array_is_refused(image):
    with pytest.raises(ShapeError, match=r"expected \(H, W\) gray or \(H, W, 3\) RGB"):
        faceren.restore(image, how=CPU)


def test_degrading_draws_by_seed_and_keeps_the_kind(portrait):
    one, two = (faceren.degrade(portrait, "historic", seed=seed) for seed in (1, 2))
    assert one.shape == portrait.shape
    assert (one != two).any()
    np.testing.assert_array_equal(faceren.degrade(portrait, "historic", seed=1), one)
    picture = faceren.degrade(Image.fromarray(portrait), "historic", seed=1)
    np.testing.assert_array_equal(np.asarray(picture), one)
    assert faceren.degrade(portrait[..., 0], "jpeg").shape == portrait.shape[:2]
    with pytest.raises(ConfigError, match="did you mean 'historic'"):
        faceren.degrade(portrait, "historc")


def test_evaluating_pairs_gives_known_figures():
    pytest.importorskip("torch")
    clean = np.full((32, 32, 3), 100, np.uint8)
    pairs = [(clean + np.uint8(d), clean) for d in (5, 10)]
    scores = faceren.evaluate(pairs, ["psnr"], device="cpu")
    expected = np.mean([20 * np.log10(255 / d) for d in (5, 10)])
    assert scores["psnr"].mean == pytest.approx(expected, abs=1e-4)
    assert scores["psnr"].n == 2
    with pytest.raises(ShapeError, match="pair 0: expected two images of one size, got 32 by 16"):
        faceren.evaluate([(clean[:16], clean)], ["psnr"], device="cpu")


def test_the_examples_of_the_readme_do_what_they_say(portrait, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```pycon\n(.*?)```", readme, re.DOTALL)
    Image.fromarray(portrait).save(tmp_path / "portrait.png")
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(example, {}, "README", None, None)
    assert len(test.examples) >= 8
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=said.append)
    assert said == []


def test_what_is_not_installed_is_named_with_its_remedy(monkeypatch):
    monkeypatch.delitem(sys.modules, "faceren.inference", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(MachineError, match=r"needs torch, .*: pip install 'faceren\[torch\]'"):
        faceren.evaluate([(image, image)], ["psnr"])
