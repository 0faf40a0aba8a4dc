"""Stores: what is asked of them, what they answer, and a bucket of another kind than S3."""

import io
import json
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceren.errors import FacerenError, MachineError
from faceren.runs.storage import ObjectFile, Storage
from tests.calls import degraded

FOLDER = Path("memory://a/out")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr("faceren.runs.storage.PAUSE", 0)


def test_what_comes_short_is_no_file_and_no_object(memory, tmp_path, monkeypatch):
    memory.pipe_file("/a/out/a.bin", b"12345678")
    storage = Storage(FOLDER)
    item = storage.listing()["a.bin"]
    assert item.size == 8
    (tmp_path / "b").write_bytes(b"abcdef")
    honest = {name: getattr(type(memory), name) for name in ("get_file", "put_file", "cat_file")}

    def get_file(self, path, target):
        honest["get_file"](self, path, target)
        Path(target).write_bytes(b"1234")

    def put_file(self, source, target):
        self.pipe_file(target, b"abc")

    def cat_file(self, path, start=None, end=None):
        return honest["cat_file"](self, path, start, end)[:-1]

    for made in (get_file, put_file, cat_file):
        monkeypatch.setattr(type(memory), made.__name__, made)
    with pytest.raises(FacerenError, match=r"a\.bin: cannot be read: expected 8 bytes, got 4"):
        storage.fetch(item, tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()
    with pytest.raises(MachineError, match="b: cannot be written: expected 6 bytes there, got 3"):
        storage.put(tmp_path / "b", "b")
    for start, end, bytes_ in ((0, None, 8), (2, 6, 4)):
        message = f"cannot be read: expected {bytes_} bytes, got {bytes_ - 1}"
        with pytest.raises(MachineError, match=message):
            storage.read(item, start, end)
    assert memory.find("/a") == ["/a/out/a.bin"]


def test_an_object_is_a_file_that_can_be_read_anywhere(memory):
    data = bytes(range(256)) * 40
    memory.pipe_file("/a/out/a.bin", data)
    storage = Storage(FOLDER)
    item = storage.listing()["a.bin"]
    with io.BufferedReader(ObjectFile(storage, item), 100) as file, io.BytesIO(data) as expected:
        for place, whence, count in ((0, 0, 10), (5000, 0, 300), (-7, 2, 20), (-9, 1, 3)):
            assert file.seek(place, whence) == expected.seek(place, whence)
            assert file.read(count) == expected.read(count)
        assert file.read() == expected.read()
        assert file.read(1) == b""


class NoCredentialsError(Exception):
    """As botocore has it, which is no PermissionError."""


SKEWED = "The difference between the request time and the server's time is too large."
COLD = "The operation is not valid for the object's storage class"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError("Unable to locate credentials"), "give credentials that may do this"),
        (PermissionError("Access Denied"), "give credentials that may do this"),
        (PermissionError(SKEWED), "the clocks of this machine and of the store differ"),
        (PermissionError(COLD), "it is in cold storage"),
    ],
)
@pytest.mark.parametrize(
    "command", ["restore memory://a/in -o memory://a/out", "restore --verify memory://a/out"]
)
def test_what_denies_access_is_told_apart_and_not_tried_again(
    error, said, command, memory, run, monkeypatch
):
    tried = []

    def find(self, path, **_):
        tried.append(path)
        raise error

    monkeypatch.setattr(type(memory), "find", find)
    status, out, told = run(*command.split())
    assert (status, out, len(tried)) == (4, "", 1)
    assert told.startswith(f"error: memory://a/{tried[0].rpartition('/')[2]}: cannot be listed: ")
    assert f"{error}; {said}" in told
    assert told.count("\n") == 1


@pytest.fixture
def bucket(monkeypatch):
    """Return the address of a bucket of Google's kind, which this machine serves."""
    pytest.importorskip("gcsfs", reason="needs gcsfs (faceren[storage])")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs the emulator")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="archive")
    server.start()
    yield Path("gs://archive")
    server.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_of_googles_kind_gets_what_a_disk_gets(bucket, tmp_path, run):
    store = Storage(bucket)
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        path = tmp_path / "in" / "deep" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(path)
        store.put(path, f"in/deep/{number}.png")
    degraded([tmp_path / "in"], tmp_path / "out", task="full", size=64)
    command = ("degrade", "gs://archive/in", "-o", "gs://archive/out", "--task", "full")
    command += ("--size", "64", "--workers", "1")
    for index in range(2):
        assert run(*command, "--shard", f"{index}/2")[0] == 0
    assert run("degrade", "--merge", "gs://archive/out")[0] == 0
    assert "3 photos: 0 degraded, 3 skipped, 0 failed" in run(*command)[2]
    there = store.listing("out")
    for number in range(3):
        key = f"deep/{number}.png"
        assert store.read(there[f"out/{key}"]) == (tmp_path / "out" / key).read_bytes()
    assert set(there) == {f"out/deep/{n}.png" for n in range(3)} | {"out/manifest.jsonl"}
    how = ("--model", "compact", "--ensemble", "off", "--aligned")
    status, _, said = run("restore", "gs://archive/out", "-o", "gs://archive/new", *how)
    assert (status, "look at gs://archive/new/report.html" in said) == (0, True)
    record = store.read(store.listing("new")["new/manifest.jsonl"]).decode().splitlines()
    assert json.loads(record[1])["input"] == "gs://archive/out/deep/0.png"
    status, out, _ = run("evaluate", "gs://archive/new", "--metrics", "psnr", "--json")
    assert (status, json.loads(out)["n"]) == (0, 3)
