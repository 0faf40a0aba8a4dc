"""The scorer on images whose figures are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from faceren.errors import ConfigError, ShapeError
from faceren.images import to_tensor
from faceren.metrics import scoring as module
from faceren.metrics.fidelity import SeenFace, psnr
from faceren.metrics.results import ImageScores
from faceren.metrics.scoring import Scorer, recompressed

GRAY = np.full((32, 32, 3), 128, np.uint8)


def shifted(levels):
    """The gray image, that many levels brighter: an error that PSNR is known of."""
    return np.full_like(GRAY, 128 + levels)


def row(name="a.png", *, paired=True, **more):
    return ImageScores(
        path=name, result=Path(name), reference=Path("clean.png") if paired else None, **more
    )


def scored(metrics, *items, protocol="standard"):
    with Scorer(metrics, protocol, torch.device("cpu")) as scorer:
        for item in items:
            scorer.add(*item)
        return scorer.finish()


def test_means_are_of_the_images():
    scores = scored(["psnr"], (row("a"), shifted(25), GRAY), (row("b"), shifted(2), GRAY))
    decibels = [20 * np.log10(255 / 25), 20 * np.log10(255 / 2)]
    assert [r.values["psnr"] for r in scores.images] == pytest.approx(decibels, abs=1e-4)
    psnr = scores.metrics["psnr"]
    assert psnr.mean == pytest.approx(sum(decibels) / 2, abs=1e-4)
    assert psnr.ci95 == pytest.approx(tuple(decibels), abs=1e-4)  # of two: from one to the other
    assert (psnr.n, psnr.missing) == (2, 0)
    assert scores.not_computed == {}


def test_an_image_without_a_reference_has_no_paired_figure_and_is_not_missing():
    scores = scored(["psnr"], (row("a"), shifted(25), GRAY), (row("b", paired=False), GRAY))
    assert scores.images[1].values == {}
    assert (scores.metrics["psnr"].n, scores.metrics["psnr"].missing) == (1, 0)
    assert scores.metrics["psnr"].ci95 is None


def test_the_identity_is_that_of_the_manifest():
    scores = scored(
        ["identity"],
        (row("a", identity=0.2), GRAY),
        (row("b", identity=0.4), GRAY),
        (row("c"), GRAY),
    )
    identity = scores.metrics["identity"]
    assert identity.mean == pytest.approx(0.3)
    assert (identity.n, identity.missing) == (2, 1)
    assert "identity" in scored(["identity"], (row("c"), GRAY)).not_computed


def test_what_no_image_allows_has_the_reason_of_the_first():
    scores = scored(["ms-ssim", "niqe", "psnr"], (row(), GRAY, GRAY))
    assert list(scores.metrics) == ["psnr"]
    assert "at least 176x176 pixels, got 32x32" in scores.not_computed["ms-ssim"]
    assert "two patches of 96x96" in scores.images[0].failures["niqe"]


def test_another_size_than_its_reference_is_refused_whole():
    with Scorer(["psnr"], "standard", torch.device("cpu")) as scorer:
        with pytest.raises(ShapeError, match="size of its reference, 32x32, got 16x32"):
            scorer.add(row(), GRAY[:, :16], GRAY)
        assert scorer.finish().images == ()


def test_gray_against_colour_is_a_warning():
    colour = GRAY.copy()
    colour[..., 0] += 9
    scores = scored(["psnr"], (row("a"), GRAY, colour), (row("b"), colour, colour))
    assert scores.warnings[0].startswith("1 pairs compare a gray image with one in colour")


def test_faces_are_measured_in_their_order_though_dlib_lags_behind(monkeypatch):
    def see(rgb):  # a face whose embedding and landmarks are the brightness of the image
        level = float(rgb[0, 0, 0])
        return None if level == 0 else SeenFace(np.full(128, level), np.full((68, 2), level), 32)

    monkeypatch.setattr(module, "see_face", see)
    items = [(row(str(n)), shifted(n), GRAY) for n in range(7)]
    items.append((row("none"), 0 * GRAY, GRAY))
    scores = scored(["fed", "lle"], *items)
    for n, image in enumerate(scores.images[:-1]):
        assert image.values["fed"] == pytest.approx(n * np.sqrt(128))
        assert image.values["lle"] == pytest.approx(n * np.sqrt(2) * 512 / 32)
    assert scores.images[-1].values == {}
    assert (scores.metrics["fed"].n, scores.metrics["fed"].missing) == (7, 1)


def inception_of_means(device):
    """Instead of the network: the mean of each channel, four times over."""
    return lambda images: images.mean((2, 3)).repeat(1, 4)


def test_sets_are_compared_in_pairs_or_as_they_are(monkeypatch):
    monkeypatch.setattr(module, "load_inception", inception_of_means)
    pairs = [(row(str(n)), shifted(n + 8), shifted(n)) for n in range(4)]
    scores = scored(["fid"], *pairs)
    # sets of one spread, eight levels apart in each of twelve features that span [-1, 1)
    assert scores.metrics["fid"].mean == pytest.approx(12 * (8 / 128) ** 2, rel=1e-5)
    low, high = scores.metrics["fid"].ci95
    assert high - low < 1e-6  # every pair is as far apart
    with Scorer(["fid"], "standard", torch.device("cpu")) as scorer:
        for n in range(4):
            scorer.add(row(str(n), paired=False), shifted(n + 8))
            scorer.add_reference(shifted(n))
        alone = scorer.finish().metrics["fid"]
    assert alone.mean == pytest.approx(scores.metrics["fid"].mean)
    assert alone.ci95[1] - alone.ci95[0] > 1e-3


def test_too_few_images_for_a_set_are_said(monkeypatch):
    monkeypatch.setattr(module, "load_inception", inception_of_means)
    scores = scored(["fid", "kid"], (row(), GRAY, GRAY))
    reason = "expected at least two images in each set, got 1 and 1"
    assert scores.not_computed == {"fid": reason, "kid": reason}


def test_statistics_are_there_only_for_metrics_of_sets():
    with (
        Scorer(["psnr"], "standard", torch.device("cpu")) as scorer,
        pytest.raises(ConfigError, match="--save-stats needs fid or kid"),
    ):
        scorer.our_statistics()


def test_the_paper_measures_what_lies_between_input_and_original_in_one_jpeg():
    random = np.random.default_rng(0)
    damaged, result, clean = (random.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(3))

    def value(*images, protocol="paper"):
        return scored(["psnr"], (row(), *images), protocol=protocol).images[0].values["psnr"]

    found = value(result, clean, damaged)
    _, middle, right = (to_tensor(panel) for panel in recompressed(damaged, result, clean))
    assert found == pytest.approx(float(psnr(middle, right)), abs=1e-4)
    assert value(result, clean) == value(result, clean, result) != found
    assert value(result, clean) == value(result, clean, damaged[:16])
    plain = float(psnr(to_tensor(result), to_tensor(clean)))
    assert value(result, clean, damaged, protocol="standard") == pytest.approx(plain, abs=1e-4)


def test_the_paper_measures_after_a_jpeg():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = {
        protocol: scored(["psnr"], (row(), noise, data.astronaut()[:32, :32]), protocol=protocol)
        for protocol in ("standard", "paper")
    }
    plain, paper = (found[p].metrics["psnr"] for p in ("standard", "paper"))
    assert plain.mean != pytest.approx(paper.mean, abs=0.05)
    assert "JPEG 95 first" in paper.by
    assert "JPEG" not in plain.by
