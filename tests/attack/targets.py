"""What reads foreign bytes, each as a function of bytes that must end well, and what to feed it.

Well is: a value that makes sense, or a ``FacerenError``; nothing else, and nothing outside of the
folder. Images have their own targets.
"""

import contextlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from hypothesis import strategies as st

from faceren.bench.output.report import read_report
from faceren.checkpoint import load_checkpoint, save_checkpoint
from faceren.commands.models import export
from faceren.commands.review import open_to_change, suggested
from faceren.commands.verify import verify
from faceren.degradation.planning import plan_replay
from faceren.errors import ConfigError, FacerenError
from faceren.graphs.generator import generator_graph
from faceren.images import Found
from faceren.metrics.inception import load_statistics
from faceren.metrics.pairing import pair_up
from faceren.networks.generator import build_generator
from faceren.pages.comparison import keys_of
from faceren.restoration.results import done_before
from faceren.runs.disk_or_store import Files
from faceren.runs.folder import inside, planned_before
from faceren.runs.lists import read_boxes, read_list
from faceren.runs.manifest import read_manifest
from faceren.runs.plan import Job
from faceren.training.events import read_log
from faceren.training.recipe_file import dump_recipe, load_recipe
from faceren.training.state import RunFolder
from faceren.weights import CheckpointInfo, check_fit, read_weights
from tests.training.tiny import CONFIG, MODEL


@dataclass(frozen=True)
class Target:
    """A reader, and what it is fed."""

    read: Callable[[bytes, Path], None]
    """With an empty folder to work in."""
    fed: st.SearchStrategy[bytes]


def changed(seed: Callable[[], bytes]) -> st.SearchStrategy[bytes]:
    """Return a file with some bytes set, cut out or repeated."""
    place = st.floats(0, 1, exclude_max=True)
    edit = st.tuples(place, st.sampled_from("=-+"), st.binary(min_size=1, max_size=12))
    return st.lists(edit, max_size=6).map(lambda edits: _edited(seed(), edits))


def _edited(data: bytes, edits: list[tuple[float, str, bytes]]) -> bytes:
    for where, kind, new in edits:
        at = int(where * len(data))
        keep = at if kind == "+" else at + len(new)
        data = data[:at] + (b"" if kind == "-" else new) + data[keep:]
    return data


numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**400, -(10**400), 2**63, -1, 0, 1, 1e308])
)
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", ".", "..", "../a", "/etc/passwd", "a\0b", "a/b.png", "\ud800", "\x9b31m", "n" * 300]
    ),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=5) | st.dictionaries(texts, v, max_size=4), max_leaves=8
)


def objects(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return an object as it should be, with some of its fields of any kind, others gone."""
    return st.dictionaries(st.sampled_from(list(good)), values, max_size=3).flatmap(
        lambda new: st.sets(st.sampled_from(list(good)), max_size=2).map(
            lambda gone: {k: v for k, v in {**good, **new}.items() if k not in gone}
        )
    )


def lines_of(*kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Return lines of JSON; sometimes one is nested deeply, or none at all."""
    line = st.one_of(*(kind.map(json.dumps) for kind in kinds))
    odd = st.sampled_from(["[" * 100_000, '{"a":' * 5_000, "1" * 5000, "NaN", "", "{", '"'])
    many = st.lists(st.one_of(line, line, odd), min_size=1, max_size=4)
    return many.map(lambda found: ("\n".join(found) + "\n").encode("utf-8", "surrogatepass"))


FACE = {
    "box": [1, 2, 30, 40],
    "landmarks": [[1, 2], [9, 2], [5, 5], [2, 9], [8, 9]],
    "crop": 64,
    "identity_distance": 0.2,
    "page": 0,
    "strength": 1.0,
    "reason": "",
}
ITEM = {
    "key": "a.png",
    "input": "in/a.png",
    "input_sha256": "0" * 64,
    "output": "out/a.png",
    "output_sha256": "1" * 64,
    "status": "restored",
    "reason": "",
    "settings": "s",
    "faces": [FACE],
}
HEADER = {
    "format_version": 1,
    "command": "restore",
    "model_option": "base",
    "options": {"strength": 0.5, "mask": "face", "color": "auto", "quality": 95},
}
DEGRADED = {
    "key": "a.png",
    "input": "in/a.png",
    "input_sha256": "0" * 64,
    "output": "out/a.png",
    "output_sha256": "1" * 64,
    "status": "degraded",
    "relative": "a.png",
    "copy": 0,
    "task": "denoise",
    "seed": 1,
    "resize": {"width": 64, "height": 64, "filter": "area"},
    "degradation": {"operations": [{"name": "noise", "sigma": 3.0}]},
}
with_faces = st.lists(objects(FACE), max_size=2).flatmap(
    lambda faces: objects(ITEM | {"faces": faces})
)
manifests = lines_of(objects(HEADER), with_faces, with_faces, values)
replays = lines_of(st.just({"format_version": 1, "command": "degrade"}), objects(DEGRADED))


def read_manifests(data: bytes, folder: Path) -> None:
    """Everything that looks at a manifest, but for the pixels."""
    (folder / "manifest.jsonl").write_bytes(data)
    try:
        manifest = read_manifest(folder / "manifest.jsonl")
    except ConfigError:
        return
    commands = suggested(folder, manifest.main_header)
    assert all(text.isprintable() for text in commands.values())
    open_to_change(manifest)
    for key, line in manifest.items.items():
        keys_of(line)
        with contextlib.suppress(FacerenError):
            assert inside(folder, key).resolve().is_relative_to(folder.resolve())
        done_before(Job(folder / "a", folder / "b", key), manifest, "s", retry_failed=False)
    for reader in (lambda: list(verify(folder).results), lambda: pair_up(folder, None)):
        with contextlib.suppress(FacerenError):
            reader()


def read_replay(data: bytes, folder: Path) -> None:
    """A manifest that is done again."""
    (folder / "m.jsonl").write_bytes(data)
    found = [Found(folder / "a.png", Path("a.png"))]
    with contextlib.suppress(FacerenError):
        jobs, _ = plan_replay(found, folder / "out", folder / "m.jsonl", Files([]))
        assert all(j.output.resolve().is_relative_to((folder / "out").resolve()) for j in jobs)


def reader(name: str, *calls: Callable[[Path], object]) -> Callable[[bytes, Path], None]:
    """Return a target that writes its bytes to a file and calls what reads it."""

    def read(data: bytes, folder: Path) -> None:
        (folder / name).write_bytes(data)
        for call in calls:
            with contextlib.suppress(FacerenError):
                call(folder / name)

    return read


@cache
def tiny_checkpoint() -> bytes:
    """Return a checkpoint of some thousand weights."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.safetensors")
        save_checkpoint(path, build_generator(CONFIG), info=CheckpointInfo(name="c"))
        return path.read_bytes()


def with_table(change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return that checkpoint after a change of its table of tensors."""
    data = tiny_checkpoint()
    size = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + size])
    change(table)
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def with_header(header: Any) -> bytes:
    """Return that checkpoint with another description of itself."""
    return with_table(lambda table: table["__metadata__"].update(faceren=json.dumps(header)))


TENSOR = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
DTYPES = ("F64", "BF16", "F8_E4M3", "F4", "C64", "I64", "BOOL", "F16")
kinds = st.sampled_from([TENSOR | {"dtype": kind} for kind in DTYPES])
tensors = st.tuples(st.integers(0, 40), st.one_of(objects(TENSOR), kinds)).map(
    lambda made: with_table(lambda t: t.update({[*t][made[0] % len(t)]: made[1]}))
)


def weights_alone(path: Path) -> None:
    """What a restoration and ``export`` do with weights, without torch."""
    stored = read_weights(path)
    graph = generator_graph(stored.config, stored.arrays)
    check_fit(path, graph.shapes, {key: array.shape for key, array in stored.arrays.items()})
    assert all(array.size == 0 or graph.fits for array in graph.weights.values())
    export(str(path), path.with_suffix(".onnx"))


@cache
def tiny_pickle() -> bytes:
    """Return a state dict as torch writes it."""
    file = io.BytesIO()
    torch.save({"fc.weight": torch.zeros(16, 3, 3, 3), "b": {"c": torch.ones(2)}}, file)
    return file.getvalue()


@cache
def tiny_statistics() -> bytes:
    """Return statistics of three features."""
    file = io.BytesIO()
    np.savez(file, mu=np.zeros(3), sigma=np.eye(3), count=np.int64(4), way=np.str_("standard"))
    return file.getvalue()


def archive(arrays: dict[str, Any], method: int) -> bytes:
    """Return arrays of any kind as an .npz, those that NumPy would pickle pickled."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as target:
        for name, value in arrays.items():
            inner = io.BytesIO()
            try:
                np.save(inner, np.asarray(value))
            except (ValueError, OverflowError, TypeError):
                inner.write(pickle.dumps(1))
            target.writestr(f"{name}.npy", inner.getvalue())
    return file.getvalue()


SHAPE = {"format_version": 1, "config": MODEL, "info": {"name": "c", "images_seen": 3}}
headers = st.one_of(
    objects(SHAPE),
    objects(MODEL).map(lambda config: SHAPE | {"config": config}),
    objects(SHAPE["info"]).map(lambda info: SHAPE | {"info": info}),
)
arrays = st.dictionaries(st.sampled_from(["mu", "sigma", "count", "way", "features", "x"]), values)
RECIPE = {
    "name": "t",
    "model": MODEL,
    "loss": {"l1": 1.0, "gan": 0.0},
    "train": {"steps": 2, "lr": 1e-3, "betas": [0.0, 0.9], "batch": 2},
    "data": {"train": ["a"], "zoom": [1.0, 1.0], "task": "denoise"},
    "extends": "other.yaml",
}


def yaml_of(tree: Any) -> bytes:
    """Return a tree as YAML, which is a superset of JSON."""
    return json.dumps(tree).encode("utf-8", "surrogatepass")


recipes = st.one_of(
    objects(RECIPE).map(yaml_of),
    *(
        objects(part).map(lambda new, name=name: yaml_of(RECIPE | {name: new, "extends": None}))
        for name, part in RECIPE.items()
        if isinstance(part, dict)
    ),
    changed(lambda: yaml.safe_dump({k: v for k, v in RECIPE.items() if k != "extends"}).encode()),
    st.sampled_from([b"a: " * 50, b"[" * 3000, b"{" * 3000, b"x: 0x" + b"f" * 9000, b"- " * 4000]),
)
BOX = {"photo": "a.png", "box": [1, 2, 30, 40], "landmarks": FACE["landmarks"]}
box_lines = st.one_of(
    lines_of(objects(BOX)), changed(lambda: b'a.png,1,2,30,40\n"b",1,2,30,4e3\n'), st.binary()
)
list_lines = st.one_of(
    changed(lambda: b'a.png\nb/c.png\t2\n"quo\\u0041"\t3\n'),
    texts.map(lambda t: f"{t}\t{'9' * 5000}\n".encode("utf-8", "surrogatepass")),
    st.binary(max_size=60),
)


def _log(path: Path) -> None:
    assert all(isinstance(line["step"], int) for line in read_log(path))


def _recipe(path: Path) -> None:
    recipe = load_recipe(path)
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe
    RunFolder(path.parent / "run").check(recipe, allow_change=False)


TARGETS = {
    "manifest": Target(read_manifests, st.one_of(manifests, changed(lambda: _good_manifest()))),
    "replay": Target(read_replay, replays),
    "boxes": Target(
        lambda data, folder: (
            [reader(name, read_boxes)(data, folder) for name in ("b.jsonl", "b.csv")] and None
        ),
        box_lines,
    ),
    "lists": Target(reader("l.txt", lambda path: read_list(path, "--only")), list_lines),
    "recipe": Target(reader("r.yaml", _recipe), recipes),
    "checkpoint": Target(
        reader("c.safetensors", load_checkpoint),
        st.one_of(headers.map(with_header), changed(tiny_checkpoint)),
    ),
    "weights": Target(
        reader("c.safetensors", weights_alone),
        st.one_of(headers.map(with_header), changed(tiny_checkpoint), tensors),
    ),
    "pth": Target(reader("p.pth", load_checkpoint), changed(tiny_pickle)),
    "npz": Target(
        reader("s.npz", load_statistics),
        st.one_of(
            changed(tiny_statistics),
            st.builds(archive, arrays, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])),
        ),
    ),
    "log": Target(reader("log.jsonl", _log), lines_of(objects({"kind": "train", "step": 1}))),
    "report": Target(
        reader("b.json", read_report),
        lines_of(objects({"speed": [], "degradation": [], "quality": [], "left_out": []})),
    ),
    "planned": Target(
        reader(".faceren-planned", lambda path: planned_before(path.parent)), lines_of(values)
    ),
}


def _good_manifest() -> bytes:
    return "".join(json.dumps(line) + "\n" for line in (HEADER, ITEM)).encode()
