"""Tar shards train as the folder does that they were made of."""

import gzip
import io
import tarfile

import numpy as np
import pytest

from faceren.errors import ConfigError, ImageError, MachineError
from faceren.runs import storage
from faceren.runs.stored import Files
from faceren.training.shards import index_of, read_member
from tests.training.test_data import read
from tests.training.tiny import losses, run, write_images, write_recipe

FILES = Files([])


def pack(shard, folder, kind=tarfile.PAX_FORMAT):
    """Pack a folder's files, the last first, into a shard."""
    with tarfile.open(shard, "w", format=kind) as tar:
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_file():
                tar.add(path, f"./{path.relative_to(folder).as_posix()}")
    return shard


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_shard_holds_what_its_folder_does_in_the_same_order(tmp_path, kind):
    deep = "deep " + "er" * 40 + "/ä" * (kind != tarfile.USTAR_FORMAT)
    write_images(tmp_path / "in" / deep, 2)
    write_images(tmp_path / "in", 3, side=80)
    folder, shard = read(tmp_path / "in"), read(pack(tmp_path / "a.tar", tmp_path / "in", kind))
    assert [(e.key, e.folder, e.short) for e in shard.entries] == [
        (e.key, e.folder, e.short) for e in folder.entries
    ]
    for number in range(5):
        np.testing.assert_array_equal(shard.read(number), folder.read(number))


def test_many_shards_are_one_entry_by_a_pattern(tmp_path):
    for name in ("b", "a"):
        write_images(tmp_path / name, 2)
        pack(tmp_path / f"{name}.tar", tmp_path / name)
    write_images(tmp_path / "plain", 1)
    images = read(tmp_path / "*.tar", tmp_path / "plain", cache_gib=0)
    assert [entry.folder for entry in images.entries] == [0, 0, 0, 0, 1]
    assert str(images.entries[0].path) == f"{tmp_path}/a.tar/000.png"
    assert images.read(3).shape == (64, 64, 3)


def test_what_is_no_image_is_left_out_and_what_is_broken_is_named(tmp_path):
    write_images(tmp_path / "in", 2)
    (tmp_path / "in" / "000.json").write_text("{}")
    (tmp_path / "in" / "._000.png").write_bytes(b"Mac")
    (tmp_path / "in" / "002.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (tmp_path / "in" / "link.png").symlink_to("000.png")
    images = read(pack(tmp_path / "a.tar", tmp_path / "in"))
    assert [entry.key for entry in images.entries] == ["000.png", "001.png"]
    assert len(images.skipped) == 1
    assert images.skipped[0].startswith(f"{tmp_path}/a.tar/002.png: ")
    assert "/tmp/faceren-" not in images.skipped[0]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 1024 * 512]


def no_end(data: bytes) -> bytes:
    return data.rstrip(b"\0")


def odd_header(data: bytes) -> bytes:
    return data[:148] + b"77777777" + data[156:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"a\.tar: expected a whole tar file of images \(unexpected end of data\); copy or"),
        (no_end, r"expected a whole tar file of images \(unexpected end of data\)"),
        (odd_header, r"expected a whole tar file of images \(bad checksum\)"),
        (gzip.compress, "expected a tar that is not compressed, .*; gunzip it first"),
        (lambda _: b"", r"expected a whole tar file of images \(empty file\)"),
        (lambda _: b"no tar" * 200, "expected a whole tar file of images"),
    ],
)
def test_a_shard_that_is_none_is_told_in_one_line(tmp_path, damage, message):
    shard = pack(tmp_path / "a.tar", write_images(tmp_path / "in", 3))
    shard.write_bytes(damage(shard.read_bytes()))
    with pytest.raises(ConfigError, match=message) as caught:
        read(shard)
    assert "\n" not in str(caught.value)


def test_a_shard_without_images_is_told(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "000.txt").write_text("a label")
    message = "expected images, but none of its 1 files has the suffix of one"
    with pytest.raises(ConfigError, match=message):
        read(pack(tmp_path / "a.tar", tmp_path / "in"))
    with pytest.raises(ConfigError, match=r"or \.tar files, but .*\.zip is none"):
        read(tmp_path / "*.zip")


def test_a_shard_that_shrinks_during_the_run_is_told(tmp_path):
    shard = pack(tmp_path / "a.tar", write_images(tmp_path / "in", 2))
    last = max(index_of("k", shard, FILES), key=lambda member: member.start)
    shard.write_bytes(shard.read_bytes()[: last.start + 10])
    with pytest.raises(ImageError, match=r"a\.tar/000\.png: the shard has become shorter"):
        read_member(last, FILES)
    shard.unlink()
    with pytest.raises(ImageError, match=r"a\.tar/000\.png: No such file"):
        read_member(last, FILES)


def test_a_hostile_name_reaches_no_file(tmp_path):
    """Members are read, never unpacked: a name that climbs is a name."""
    (tmp_path / "in").mkdir()
    image = write_images(tmp_path / "in", 1) / "000.png"
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("x/%2e%2e/\n000.png")
        info.size = image.stat().st_size
        tar.addfile(info, io.BytesIO(image.read_bytes()))
    (member,) = index_of("k", tmp_path / "a.tar", FILES)
    assert read_member(member, FILES).shape == (64, 64, 3)


def test_training_on_a_shard_is_training_on_its_folder(tmp_path):
    recipe = write_recipe(tmp_path, train={"steps": 2}, data={"fixed_damage": True, "flip": 0.5})
    shard = pack(tmp_path / "faces.tar", tmp_path / "faces")
    folder = run(recipe, tmp_path / "one")
    tar = run(recipe, tmp_path / "other", f"data.train={shard}", "data.cache_gib=0")
    assert losses(tar) == losses(folder)


@pytest.fixture
def stored(tmp_path, memory):
    """The tiny recipe, and its images in a store: in a folder, and in two shards."""
    recipe = write_recipe(tmp_path, train={"steps": 2}, data={"fixed_damage": True, "flip": 0.5})
    names = sorted(path.name for path in (tmp_path / "faces").iterdir())
    for number, some in enumerate((names[:7], names[7:])):
        (tmp_path / str(number)).mkdir()
        for name in some:
            data = (tmp_path / "faces" / name).read_bytes()
            (tmp_path / str(number) / name).write_bytes(data)
            memory.pipe_file(f"/a/faces/{name}", data)
        shard = pack(tmp_path / f"{number}.tar", tmp_path / str(number))
        memory.pipe_file(f"/a/shards/{number}.tar", shard.read_bytes())
    memory.pipe_file("/a/shards/README", b"no shard")
    return recipe


def test_training_from_a_store_is_training_from_a_disk(tmp_path, stored):
    disk = losses(run(stored, tmp_path / "disk"))
    assert len(disk) == 2
    for number, place in enumerate(("faces", "shards/*.tar")):
        for cache in (0, 1):
            sets = (f"data.train=memory://a/{place}", f"data.cache_gib={cache}")
            events = run(stored, tmp_path / f"{number}{cache}", *sets)
            assert losses(events) == disk
    one = read("memory://a/shards/1.tar", cache_gib=0)
    assert str(one.entries[0].path) == "memory://a/shards/1.tar/007.png"
    np.testing.assert_array_equal(one.read(0), read(tmp_path / "1").read(0))


def test_what_is_wrong_in_a_store_is_named_as_on_a_disk(tmp_path, stored, memory, monkeypatch):
    monkeypatch.setattr(storage, "PAUSE", 0)
    with pytest.raises(ConfigError, match=r"a folder of images, or \.tar files, but memory://a/no"):
        read("memory://a/none")
    memory.pipe_file("/a/shards/cut.tar", memory.cat_file("/a/shards/0.tar")[:1500])
    with pytest.raises(ConfigError, match=r"memory://a/shards/cut\.tar: expected a whole tar file"):
        read("memory://a/shards/*.tar")
    memory.pipe_file("/a/faces/broken.png", b"\x89PNG\r\n\x1a\n broken")
    images = read("memory://a/faces", cache_gib=0)
    (broken,) = images.skipped
    assert broken.startswith("memory://a/faces/broken.png: ")
    assert "faceren-" not in broken
    memory.pipe_file("/a/faces/000.png", b"replaced")
    with pytest.raises(ImageError, match="memory://a/faces/000.png: was replaced during the run"):
        images.read(0)
    shard = read("memory://a/shards/0.tar", cache_gib=0)

    def refused(*_, **__):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(type(memory), "get_file", refused)
    monkeypatch.setattr(type(memory), "cat_file", refused)
    for some in (images, shard):
        with pytest.raises(MachineError, match="cannot be read: reset by peer"):
            some.read(1)
