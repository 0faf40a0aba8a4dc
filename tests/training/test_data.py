import errno
import gc
import gzip
import io
import os
import platform
import tarfile
import tempfile

import cv2
import numpy as np
import pytest

from faceren.errors import ConfigError, ImageError, MachineError
from faceren.runs import storage
from faceren.runs.disk_cache import PREFIX
from faceren.runs.disk_or_store import Files
from faceren.training import data as data_module
from faceren.training.data import (
    Images,
    evenly,
    index_of,
    read_images,
    read_member,
    split_validation,
)
from faceren.training.events import Reading
from tests.training.tiny import losses, run, write_images, write_recipe


def read(*folders, min_side=32, max_side=1024, cache_gib=1.0, disk_gib=0) -> Images:
    names = [str(folder) for folder in folders]
    room = {"cache_gib": cache_gib, "disk_gib": disk_gib}
    steps = read_images("k", names, min_side=min_side, max_side=max_side, **room)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_reads_all_folders_in_order_with_keys(tmp_path):
    write_images(tmp_path / "a" / "deep", 2)
    write_images(tmp_path / "b", 1, side=80)
    images = read(tmp_path / "a", tmp_path / "b")
    assert [entry.key for entry in images.entries] == ["deep/000.png", "deep/001.png", "000.png"]
    assert [entry.folder for entry in images.entries] == [0, 0, 1]
    assert [entry.short for entry in images.entries] == [64, 64, 80]
    expected = cv2.imread(str(tmp_path / "b" / "000.png"))[..., ::-1]
    np.testing.assert_array_equal(images.read(2), expected)


def test_tells_how_far_it_is(tmp_path):
    names = [str(write_images(tmp_path / "a", 3))]
    events = read_images("k", names, min_side=32, max_side=64, cache_gib=1)
    assert list(events) == [Reading(done=3, total=3)]


def test_unusable_files_are_skipped_and_listed(tmp_path):
    write_images(tmp_path, 2)
    (tmp_path / "broken.png").write_bytes((tmp_path / "000.png").read_bytes()[:200])
    (tmp_path / "empty.jpg").touch()
    write_images(tmp_path / "small", 1, side=20)
    images = read(tmp_path)
    assert len(images) == 2
    assert len(images.skipped) == 3
    assert "broken.png: " in images.skipped[0]
    assert images.skipped[2].endswith("small/000.png: shorter side 20 px, below 32")


def test_large_images_are_shrunk_by_area(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.kron(np.eye(2), np.full((40, 80), 255)))
    pixels = read(tmp_path, max_side=40).read(0)
    assert pixels.shape == (40, 80, 3)
    assert sorted(set(pixels.ravel().tolist())) == [0, 255]


def test_what_does_not_fit_into_memory_is_decoded_at_each_use(tmp_path):
    write_images(tmp_path, 3)
    cached, lazy = read(tmp_path), read(tmp_path, cache_gib=2 * 64 * 64 * 3 / 2**30)
    assert len(cached.pixels) == 3
    assert lazy.pixels == ()
    np.testing.assert_array_equal(lazy.read(1), cached.read(1))
    (tmp_path / "001.png").unlink()
    assert cached.read(1).shape == (64, 64, 3)
    with pytest.raises(ImageError, match=r"001\.png"):
        lazy.read(1)


def test_missing_and_empty_folders_are_errors(tmp_path):
    with pytest.raises(
        ConfigError, match=r"k: expected a folder of images, or .tar files, but .*nowhere is none"
    ):
        read(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="k: expected images, found no usable one in"):
        read(tmp_path)
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(ConfigError, match=r"1 files are unusable, the first: .*a\.jpg"):
        read(tmp_path)


@pytest.mark.parametrize(("total", "count"), [(10, 3), (3, 10), (1, 1), (100, 7), (16, 16)])
def test_evenly_gives_different_numbers_in_range(total, count):
    numbers = evenly(total, count)
    assert len(set(numbers)) == min(total, count)
    assert min(numbers) >= 0
    assert max(numbers) < total
    gaps = np.diff(numbers)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_validation_images_are_kept_apart(tmp_path):
    images = read(write_images(tmp_path, 12))
    training, validation = split_validation(images, 16)
    assert len(validation) == 1  # at most a tenth
    keys = [entry.key for entry in (*training.entries, *validation.entries)]
    assert sorted(keys) == [entry.key for entry in images.entries]
    np.testing.assert_array_equal(validation.read(0), images.read(6))
    with pytest.raises(ConfigError, match="expected at least 2 images"):
        split_validation(images.choose([0]), 1)


def test_an_image_that_the_disk_gives_at_the_second_try_is_there(tmp_path, monkeypatch):
    write_images(tmp_path / "in", 3, side=64)
    failing = [OSError(errno.EIO, "Input/output error")]
    honest = data_module.read_limited

    def reading(path, side, files):
        if path.name == "001.png" and failing:
            raise ImageError(f"{path}: cannot be read") from failing.pop()
        return honest(path, side, files)

    monkeypatch.setattr(data_module, "read_limited", reading)
    images = read(tmp_path / "in")
    assert [entry.key for entry in images.entries] == ["000.png", "001.png", "002.png"]
    assert images.skipped == ()
    assert failing == []


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


def test_what_a_store_gave_is_fetched_once_as_long_as_there_is_room(
    stored, memory, monkeypatch, tmp_path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    expected = read(tmp_path / "faces")
    for place, method in (("faces", "get_file"), ("shards/*.tar", "cat_file")):
        some = sized(tmp_path / "faces") * 0.6 / 2**30
        for disk_gib, most in ((1, 0), (0, len(expected)), (some, len(expected) - 1)):
            images = read(f"memory://a/{place}", cache_gib=0, disk_gib=disk_gib)
            fetched = []
            with monkeypatch.context() as patch:
                patch.setattr(type(memory), method, counted(type(memory), method, fetched))
                for number in range(len(expected)):
                    np.testing.assert_array_equal(images.read(number), expected.read(number))
            assert len(fetched) <= most
            assert bool(fetched) == (most > 0)
            del images
            gc.collect()
            assert not list((tmp_path / "temporary").iterdir())


def sized(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def counted(kind, method, calls):
    honest = getattr(kind, method)

    def call(self, path, *arguments, **more):
        calls.append(path)
        return honest(self, path, *arguments, **more)

    return call


def test_a_cache_that_is_not_needed_or_was_left_by_a_killed_run_is_removed(
    stored, monkeypatch, tmp_path
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    left = tmp_path / "temporary" / f"{PREFIX}{platform.node()}-{2**22 + 1}-x"
    other = tmp_path / "temporary" / f"{PREFIX}{platform.node()}x-{2**22 + 1}-x"
    mine = tmp_path / "temporary" / f"{PREFIX}{platform.node()}-{os.getpid()}-x"
    for folder in (left, other, mine):
        folder.mkdir(parents=True)
    images = read("memory://a/faces", disk_gib=1)  # all fit into memory
    assert images.pixels
    assert set((tmp_path / "temporary").iterdir()) == {other, mine}


def test_processes_of_one_machine_share_the_room(stored, monkeypatch):
    asked = []
    monkeypatch.setattr("faceren.training.data.DiskCache", lambda *how: asked.append(how))
    read("memory://a/faces", disk_gib=1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    read("memory://a/faces", disk_gib=1)
    assert asked == [(2**30, 1), (2**30, 4)]
