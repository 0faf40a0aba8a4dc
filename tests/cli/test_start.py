"""What starts without torch, which takes seconds to load, and what needs nothing heavy at all."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from faceren.assets import samples_dir
from tests.runs import make_run

CODE = """
import sys
from faceren import cli
commands, forbidden = eval(sys.argv[1])
for arguments, status in commands:
    sys.argv = ["faceren", *arguments]
    try:
        cli.main()
    except SystemExit as stopped:
        assert stopped.code == status, (arguments, stopped.code)
    loaded = forbidden & set(sys.modules)
    assert not loaded, (arguments, loaded)
"""


def start(commands, forbidden):
    """Run commands one after the other in a new process; nothing forbidden may be loaded."""
    texts = [(list(map(str, arguments)), status) for arguments, status in commands]
    code = [sys.executable, "-c", CODE, repr((texts, forbidden))]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def clean(tmp_path):
    (tmp_path / "clean").mkdir()
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "clean" / "a.png")
    return tmp_path / "clean"


def test_help_and_version_load_nothing_heavy():
    commands = ("restore", "degrade", "train", "evaluate", "benchmark", "export", "models", "open")
    helps = [(["--help"], 0), (["--version"], 0), *(([name, "--help"], 0) for name in commands)]
    start(helps, {"torch", "cv2", "numpy", "torchvision", "rich"})


def test_degrading_needs_no_torch(clean, tmp_path):
    out = tmp_path / "bad"
    commands = [
        (["degrade", clean, "--task", "historic", "--size", "keep", "-o", out], 0),
        (["degrade", clean, "--replay", out / "manifest.jsonl", "-o", tmp_path / "again"], 0),
        (["degrade", clean, "--sheet", tmp_path / "sheet.png"], 0),
        (["degrade", clean, "--task", "ful"], 2),
    ]
    start(commands, {"torch"})
    assert (out / "a.png").read_bytes() == (tmp_path / "again" / "a.png").read_bytes()


def test_the_page_and_reverts_need_no_torch(tmp_path):
    out = make_run(tmp_path)
    (tmp_path / "list").write_text("view.png\na b/one.png\na b/two.png\t1\n")
    commands = [
        (["restore", "--report-only", out], 0),
        (["restore", "-o", out, "--revert", tmp_path / "list"], 0),
    ]
    start(commands, {"torch"})
    assert (out / "report.html").exists()
    one = "a b/one.png"
    assert (out / one).read_bytes() == (tmp_path / "photos" / one).read_bytes()


def test_restoring_on_a_cpu_needs_no_torch(tmp_path):
    """Each command in a process of its own: whatever one loads, the next does without."""
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(samples_dir() / "portrait_gray.jpg", photos)
    out, (single, pipe) = tmp_path / "out", (tmp_path / "one.onnx", tmp_path / "list")
    pipe.write_text("portrait_gray.jpg\n")
    cpu = ["--device", "cpu"]
    for arguments in (
        ["restore", photos, "-o", out, "--dry-run", *cpu],
        ["restore", photos, "-o", out, *cpu],
        ["restore", photos, "-o", out, *cpu],
        ["restore", photos, "-o", out, *cpu, "--overwrite", "--max-identity-distance", "0.01"],
        ["restore", "--verify", out],
        ["restore", "--report-only", out],
        ["restore", "-o", out, "--only", pipe, "--strength", "0.5", *cpu],
        ["restore", "-o", out, "--revert", pipe],
        ["export", "compact", "-o", single],
    ):
        start([(arguments, 0)], {"torch", "scipy", "onnx"})
    status = json.loads((out / "manifest.jsonl").read_text().splitlines()[1])["status"]
    assert status == "restored"


@pytest.mark.parametrize(
    ("missing", "arguments", "said"),
    [
        ("torch", ["evaluate", "{clean}", "--metrics", "niqe"], "needs torch, {how}[torch]'"),
        ("torch", ["benchmark", "-o", "{out}"], "needs torch, {how}[torch]'"),
        ("torch", ["train", "compact.yaml", "-o", "{out}"], "needs torch, {how}[torch]'"),
        ("torch", ["restore", "{clean}", "-o", "{out}", "--device", "cuda"], "cuda needs torch, "),
        ("scipy", ["evaluate", "{clean}", "--metrics", "niqe"], "needs scipy, {how}[torch]'"),
    ],
)
def test_what_needs_torch_says_so_in_a_line(clean, tmp_path, missing, arguments, said):
    """The library is hidden from a process of its own, as where it is not installed."""
    places = {"clean": clean, "out": tmp_path / "out"}
    hide = f"import sys; sys.modules[{missing!r}] = None; from faceren import cli; cli.main()"
    command = [sys.executable, "-c", hide, *(part.format(**places) for part in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    assert said.format(how="which is not installed; install it: pip install 'faceren") in line
    assert not any((tmp_path / "out").glob("*"))


def test_what_is_refused_is_refused_before_torch_is_loaded(clean, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "twin").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "twin" / "a.png")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.jsonl").write_text(
        '{"format_version": 1, "command": "degrade"}\n'
    )
    (tmp_path / "list").write_text("nothing.png\n")
    out = tmp_path / "out"
    refused = [
        ([tmp_path / "gone", "-o", out], 2),
        ([tmp_path / "empty", "-o", out], 3),
        ([clean, "-o", clean], 2),
        ([clean, "-o", clean / "out"], 2),
        ([clean, "-o", clean / "a.png"], 2),
        ([clean, tmp_path / "twin", "-o", out], 2),
        ([clean, "-o", tmp_path / "other"], 2),
        ([clean, "-o", out, "--only", tmp_path / "list"], 2),
        ([clean, "-o", out, "--strength", "2"], 2),
        ([clean, "-o", out, "--boxes", tmp_path / "list"], 2),
        ([clean], 2),
    ]
    commands = [(["restore", *given, "--dry-run"], status) for given, status in refused]
    start(commands, {"torch"})


def test_what_libraries_warn_of_is_for_debug_alone(tmp_path):
    code = """
import logging, sys, warnings
from faceren import cli
from faceren.commands import verify
def warns(_):
    warnings.warn("of a library")
    logging.getLogger("a.library").warning("of its log")
    raise SystemExit(0)
verify.verify = warns
sys.argv = ["faceren", *sys.argv[1:]]
cli.main()
"""
    for flags, said in (([], ""), (["--debug"], "of a library")):
        command = [sys.executable, "-c", code, *flags, "restore", "--verify", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert said in done.stderr
        assert bool(done.stderr) == bool(said)
