"""Metrics and protocols by name."""

import pytest

from faceren.errors import ConfigError
from faceren.metrics.names import METRICS, PAPER_METRICS, parse_metrics


def test_the_papers_eight_are_in_the_order_of_its_tables():
    assert PAPER_METRICS == ("psnr", "ssim", "ms-ssim", "fed", "lle", "fid", "lpips", "niqe")
    assert (*PAPER_METRICS, "kid", "identity") == METRICS


def test_names_are_split_and_forgiven():
    assert parse_metrics(["psnr,MS_SSIM", "psnr", " fid "]) == ("psnr", "ms-ssim", "fid")
    assert parse_metrics(["pyiqa:musiq_ava"]) == ("pyiqa:musiq_ava",)


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(ConfigError, match="--metrics: .*, got 'lpisp'; did you mean 'lpips'"):
        parse_metrics(["lpisp"])
    with pytest.raises(ConfigError, match="expected one or more of psnr, .* got none"):
        parse_metrics([","])
