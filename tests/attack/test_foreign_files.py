"""Recipes, boxes, lists, checkpoints, statistics from strangers: one line that names the file."""

import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from faceren.checkpoint import load_checkpoint
from faceren.config import GeneratorConfig
from faceren.errors import ConfigError, MachineError
from faceren.graphs.generator import generator_graph
from tests.attack.targets import tiny_pickle, with_header, with_table
from tests.training.tiny import MODEL

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "hostile"
COMMANDS = {
    "boxes": ("restore", "in", "-o", "out", "--boxes"),
    "list": ("restore", "in", "-o", "out", "--only"),
    "recipe": ("train", "-o", "out"),
    "ckpt": ("restore", "in", "-o", "out", "--model"),
    "npz": ("evaluate", "in", "--metrics", "fid", "--reference"),
}
STATUSES = {"boxes": {2}, "list": {2}, "recipe": {2}, "ckpt": {2, 4}, "npz": {2}}


def npz(compression=zipfile.ZIP_STORED, **arrays):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, value in arrays.items():
            inner = io.BytesIO()
            np.save(inner, value, allow_pickle=True)
            archive.writestr(f"{name}.npy", inner.getvalue())
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, np.eye(3))
    return file.getvalue()


def config(**values):
    return with_header({"format_version": 1, "config": {**MODEL, **values}, "info": {}})


def described(**values):
    info = {"name": "c", **values}
    return with_header({"format_version": 1, "config": MODEL, "info": info})


def first_tensor(**values):
    return with_table(lambda table: next(v for k, v in table.items() if k[0] != "_").update(values))


def filled(value, kind="F32"):
    """All weights of a network of the right shape are this value, a NumPy scalar, of one kind."""

    def change(table):
        for key, tensor in table.items():
            if key != "__metadata__":
                start = places[-1]
                places.append(start + value.itemsize * int(np.prod(tensor["shape"])))
                tensor |= {"dtype": kind, "data_offsets": [start, places[-1]]}

    places = [0]
    data = with_table(change)
    size = 8 + int.from_bytes(data[:8], "little")
    return data[:size] + value.tobytes() * (places[-1] // value.itemsize)


def packed():
    """A state dict of zeros, compressed as torch never does it."""
    source, file = zipfile.ZipFile(io.BytesIO(tiny_pickle())), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for item in source.infolist():
            target.writestr(item.filename, source.read(item) + bytes(200_000))
    return file.getvalue()


def running_code():
    class Harm:
        def __reduce__(self):
            return print, ("harm",)

    file = io.BytesIO()
    torch.save({"a": Harm()}, file)
    return file.getvalue()


MU, SIGMA = np.zeros(3), np.eye(3)
LARGE = {"width": 1024, "max_multiplier": 4, "depth": 7, "stem_stride": 4, "middle_blocks": 64}
LARGE |= {"spectral_norm": True, "hidden": 1024}
FILES = {
    "boxes_deep.jsonl": b"[" * 200_000,
    "boxes_long.jsonl": b'{"photo": "a.png", "box": [' + b"9" * 5000 + b", 1, 1, 1]}",
    "boxes_huge.jsonl": b'{"photo": "a.png", "box": [1' + b"0" * 400 + b", 1, 1, 1]}",
    "boxes_quote.csv": b'"a.png,' + b"1" * 140_000,
    "boxes_latin.csv": b"caf\xe9.png,1,2,3,4",
    "list_digits.txt": b"a.png\t" + b"9" * 5000,
    "list_quoted.txt": b'"a.png"\t' + b"9" * 5000,
    "list_escape.txt": b"\x1b]0;owned\x07.png",
    "recipe_deep.yaml": b"[" * 5000,
    "recipe_hex.yaml": b"name: 0x" + b"f" * 20_000,
    "recipe_sixty.yaml": b"name: " + b"1:" * 200_000 + b"1",
    "recipe_long.yaml": b"name: " + b"9" * 5000,
    "recipe_date.yaml": b"name: 2024-13-45",
    "recipe_laughs.yaml": b"a: &a [x, x]\nb: &b [*a, *a]\nname: [*b, *b]",
    "recipe_large.yaml": b"name: " + b"x" * 2**20,
    "ckpt_deep.safetensors": None,
    "ckpt_width.safetensors": config(width=10**9),
    "ckpt_blocks.safetensors": config(middle_blocks=10**7),
    "ckpt_depth.safetensors": config(depth=40),
    "ckpt_float.safetensors": config(hidden=1e400 - 1e400),
    "ckpt_info.safetensors": with_header(
        {"format_version": 1, "config": MODEL, "info": {"name": ["a"], "images_seen": {}}}
    ),
    "ckpt_eight.safetensors": filled(np.uint8(1), "F8_E4M3"),
    "ckpt_complex.safetensors": filled(np.complex64(1), "C64"),
    "ckpt_overlap.safetensors": first_tensor(data_offsets=[2, 10]),
    "ckpt_offset.safetensors": first_tensor(data_offsets=[2**63, 2**63 + 4]),
    "ckpt_shape.safetensors": first_tensor(shape=[2**62, 2**62, 2**62]),
    "ckpt_header.safetensors": (2**24).to_bytes(8, "little") + b'{"a":' + bytes(2**24),
    "ckpt_tables.safetensors": (2**63).to_bytes(8, "little") + b"{}",
    "ckpt_nan.safetensors": filled(np.float32("nan")),
    "ckpt_stride.safetensors": config(stem_stride=64, depth=10),
    "ckpt_fine.safetensors": config(stem_stride=1, width=512),
    "ckpt_large.safetensors": config(**LARGE),
    "ckpt_surrogate.safetensors": described(name="\ud800"),
    "ckpt_escape.safetensors": described(name="a\x1b]0;owned\x07\0"),
    "ckpt_chatty.safetensors": described(name="x" * 1_000_000),
    "ckpt_licence.safetensors": described(licence="\ud800"),
    "ckpt_packed.pth": packed(),
    "ckpt_code.pth": running_code(),
    "npz_strings.npz": npz(mu=np.array(["a", "b"]), sigma=SIGMA),
    "npz_pickle.npz": npz(mu=np.array([{}, print], object), sigma=SIGMA),
    "npz_counts.npz": npz(mu=MU, sigma=SIGMA, count=np.arange(3)),
    "npz_negative.npz": npz(mu=MU, sigma=SIGMA, count=np.int64(-1)),
    "npz_nan.npz": npz(mu=MU * np.nan, sigma=SIGMA),
    "npz_features.npz": npz(mu=MU, sigma=SIGMA, features=np.zeros((3, 2), np.float32)),
    "npz_npy.npz": npy(),
    "npz_bomb.npz": npz(zipfile.ZIP_DEFLATED, mu=MU, sigma=SIGMA, x=np.zeros(2**27 + 8)),
}


def deep_header():
    """JSON that ``json.dumps`` itself could not write."""
    data = with_header({})
    size = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + size])
    table["__metadata__"]["faceren"] = "[" * 100_000
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    Image.fromarray(np.dstack([ramp] * 3)).save(tmp_path / "in" / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(run, path):
    """Run the command that takes such a file; return its only line of error."""
    kind = path.name.partition("_")[0]
    command = COMMANDS[kind]
    arguments = (command[0], path, *command[1:]) if kind == "recipe" else (*command, path)
    status, stdout, stderr = run(*arguments)
    assert status in STATUSES[kind], stderr
    (line,) = stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert line.isprintable()
    assert len(line) < 1000
    assert "Traceback" not in line
    assert stdout == ""
    assert path.name in line or "is none of the 1 photos of this run" in line
    assert not Path("out", "a.png").exists()
    return line


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_one_line(name, place, run):
    path = place / name
    path.write_bytes(FILES[name] or deep_header())
    refused(run, path)


def test_what_cannot_be_used_is_said_in_words(place, run):
    def said(name):
        (place / name).write_bytes(FILES[name] or deep_header())
        return refused(run, place / name)

    assert "month must be in 1..12" in said("recipe_date.yaml")
    assert "expected no aliases" in said("recipe_laughs.yaml")
    assert "width: expected at most 1024, got 1e+09" in said("ckpt_width.safetensors")
    assert "holds code, which is never run" in said("ckpt_code.pth")
    assert "expected tensors of type F16 or F32, got" in said("ckpt_eight.safetensors")
    assert "has values that are not finite" in said("ckpt_nan.safetensors")
    assert "multiples of at most 512 pixels, got 65536" in said("ckpt_stride.safetensors")
    assert "at most 128 channels a pixel, got 512 for 1 x 1" in said("ckpt_fine.safetensors")
    assert "header of at most 8,388,608 bytes, got 16,777,216" in said("ckpt_header.safetensors")
    assert "1,073,742,368 bytes are packed into it" in said("npz_bomb.npz")
    assert "line 1: box: expected 4 numbers, got [1000" in said("boxes_huge.jsonl")


WEIGHTS = [name for name in FILES if name.endswith(".safetensors")]


@pytest.mark.parametrize("name", WEIGHTS)
def test_hostile_weights_are_refused_by_torch_and_by_export_too(name, place, run):
    path = place / name
    path.write_bytes(FILES[name] or deep_header())
    with pytest.raises((ConfigError, MachineError), match=name):
        load_checkpoint(path)
    status, stdout, stderr = run("export", path, "-o", place / "x.onnx")
    assert status in STATUSES["ckpt"], stderr
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1
    assert stdout == ""
    assert not (place / "x.onnx").exists()


def test_a_network_that_is_only_claimed_takes_no_memory():
    """One of its kernels alone has 151 million numbers."""
    tracemalloc.start()
    try:
        graph = generator_graph(GeneratorConfig(**{**MODEL, **LARGE}), {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(int(np.prod(shape)) for shape in graph.shapes.values()) > 10**9
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("--max-memory", "²G"),
        ("--max-memory", "9" * 5000 + "G"),
        ("--device", "cuda:²"),
        ("--device", "cuda:" + "9" * 5000),
        ("--batch-size", "9" * 5000),
        ("--engine", "tensorflow"),
    ],
)
def test_a_number_that_is_none_is_one_line(option, word, place, run):
    status, _, stderr = run("restore", "in", "-o", "out", option, word)
    assert status == 2
    assert stderr.startswith(f"error: {option}: expected ")
    assert stderr.count("\n") == 1
    assert len(stderr) < 300


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/cases")
@pytest.mark.parametrize(
    "path", [p for p in sorted(SHARED.glob("*_*")) if p.name.partition("_")[0] in COMMANDS], ids=str
)
def test_the_collected_hostile_files(path, place, run):
    refused(run, path)
