"""What the commands can be asked beside the pixels."""

import pytest

from faceren.commands.options import (
    DegradeOptions,
    EvaluateOptions,
    FolderOptions,
    RunOptions,
    commas,
)
from faceren.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"), [("500M", 524_288_000), ("3G", 3_221_225_472), ("1m", 1_048_576)]
)
def test_a_size_of_memory_in_bytes(text, size):
    assert RunOptions(max_memory=text).memory == size


@pytest.mark.parametrize("text", ["3", "0G", "G", "-1G", "lots", ""])
def test_another_text_is_no_size_of_memory(text):
    with pytest.raises(ConfigError, match="--max-memory: expected a size such as 500M or 3G, got"):
        RunOptions(max_memory=text)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (RunOptions, {"batch_size": 0}, "--batch-size: expected 'auto' or int .* 1"),
        (RunOptions, {"batch_size": "many"}, "--batch-size: .*'many'"),
        (RunOptions, {"workers": -1}, "--workers: expected int .* 0.*, got -1"),
        (RunOptions, {"max_pixels": 0}, "--max-pixels: "),
        (RunOptions, {"precision": "fp8"}, "--precision: .*did you mean 'fp32'"),
        (FolderOptions, {"exclude": "*.tif"}, "--exclude: "),
        (DegradeOptions, {"size": "small"}, "--size: expected 'keep' or int .* 64"),
        (DegradeOptions, {"size": 63}, "--size: expected 'keep' or int .* 64.*, got 63"),
        (DegradeOptions, {"copies": 0}, "--copies: expected int .* 1.*, got 0"),
        (EvaluateOptions, {"limit": 0}, "--limit: "),
        (EvaluateOptions, {"protocol": "pager"}, "--protocol: .*did you mean 'paper'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_flag(kind, given, said):
    with pytest.raises(ConfigError, match=said):
        kind(**given)


def test_names_in_one_text_are_split_at_commas():
    assert commas("psnr,ssim") == ("psnr", "ssim")
    assert commas(("psnr",)) == ("psnr",)
    assert commas("") == ()
