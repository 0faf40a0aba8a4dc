import hashlib
import os
import unicodedata
from collections import Counter

import pytest

from faceren.commands.merge import merge
from faceren.errors import ConfigError, MachineError
from faceren.runs.folder import PLANNED_NAME, check_places, locked, planned_before, writing
from faceren.runs.resume import earlier_run
from faceren.runs.shards import (
    LOCK_SUFFIX,
    Shard,
    check_merged,
    listing_digest,
    named,
    parse_shard,
    shards_in,
)

NAMES = [f"box {index % 7}/photo {index}.jpg" for index in range(3000)]


def test_every_photo_is_in_one_part_and_parts_are_of_about_one_size():
    for count in (1, 2, 3, 7):
        parts = [Shard(index, count) for index in range(count)]
        sizes = Counter(part for name in NAMES for part in parts if part.has(name))
        assert sum(sizes.values()) == len(NAMES)
        assert sum(any(part.has(name) for part in parts) for name in NAMES) == len(NAMES)
        mean = len(NAMES) / count
        assert all(abs(size - mean) < 5 * mean**0.5 for size in sizes.values())


def test_the_name_alone_decides_and_will_in_later_versions():
    for name in NAMES[:50]:
        expected = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) % 5
        assert Shard(expected, 5).has(name)


def test_a_name_is_in_one_part_in_every_spelling_of_its_accents():
    for number in range(20):
        name = f"Fotos/Müller {number} é.jpg"
        spelled = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
        assert spelled[0] != spelled[1]
        assert Shard(0, 2).has(spelled[0]) == Shard(0, 2).has(spelled[1])
        assert listing_digest([spelled[0]]) == listing_digest([spelled[1]])
    assert Shard(0, 1).has("no text \udcff.jpg")


def test_the_listing_is_told_by_all_of_its_names_in_any_order():
    assert listing_digest(["b", "a"]) == listing_digest(["a", "b"])
    assert listing_digest(["a"]) != listing_digest(["a", "b"])


@pytest.mark.parametrize("text", ["3/3", "0/0", "a/b", "1", "-1/3", "1/3/5", "0x1/3", "/", "1/"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(ConfigError, match="--shard: expected I/N with I from 0 to N - 1, as 0/3"):
        parse_shard(text)


def test_a_part_is_read_as_it_is_shown():
    assert parse_shard("") is None
    assert parse_shard(" 2/16 ") == Shard(2, 16)
    assert str(Shard(2, 16)) == "2/16"
    assert named([Shard(1, 9)]) == "shard 1/9"
    assert named([Shard(i, 9) for i in range(8)]) == "shards 0/9, 1/9, 2/9, 3/9, 4/9 and 3 more"


def test_parts_of_one_run_write_side_by_side_and_nothing_else_does(tmp_path, monkeypatch):
    monkeypatch.setattr("faceren.runs.folder.GATE", 0)
    one, two = Shard(0, 2), Shard(1, 2)
    with writing(tmp_path, ["a.jpg"], one), writing(tmp_path, ["b.jpg"], two):
        assert planned_before(tmp_path) == {"a.jpg", "b.jpg"}
        for other in (None, Shard(1, 3)):
            with pytest.raises(MachineError, match=r"into .* \(shard 0/2\); wait"):
                locked(tmp_path, other).__enter__()
        with pytest.raises(MachineError, match=r"into .* \(shard 1/2\); wait"):
            locked(tmp_path, two).__enter__()
    assert planned_before(tmp_path) == set()
    with locked(tmp_path), pytest.raises(MachineError, match="another run is writing into"):
        locked(tmp_path, one).__enter__()
    with locked(tmp_path, one), locked(tmp_path, two):
        pass


def test_what_a_killed_part_was_going_to_write_is_its_own(tmp_path):
    with pytest.raises(KeyboardInterrupt), writing(tmp_path, ["a.jpg"], Shard(1, 2)):
        raise KeyboardInterrupt
    assert planned_before(tmp_path) == {"a.jpg"}
    with writing(tmp_path, ["b.jpg"], Shard(1, 2)):
        assert planned_before(tmp_path) == {"a.jpg", "b.jpg"}
    assert not (tmp_path / PLANNED_NAME).exists()


def test_records_of_other_parts_are_not_passed_over(tmp_path):
    (tmp_path / ".shards").mkdir()
    for name in ("1-of-2.jsonl", "0-of-2.jsonl", "0-of-2.lock", "x-of-2.jsonl", "0-of-2.jsonl~"):
        (tmp_path / ".shards" / name).touch()
    assert shards_in(tmp_path) == [Shard(0, 2), Shard(1, 2)]
    assert shards_in(tmp_path, LOCK_SUFFIX) == [Shard(0, 2)]
    check_merged(tmp_path, "restore", Shard(1, 2))
    with pytest.raises(ConfigError, match=r"shards 0/2, 1/2, not yet merged; when all .* --merge"):
        check_merged(tmp_path, "degrade")
    with pytest.raises(ConfigError, match=r"shards 0/2, 1/2 \(this is 1/3\), not yet merged"):
        check_merged(tmp_path, "restore", Shard(1, 3))


def test_a_link_in_the_place_of_the_records_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".shards").symlink_to(tmp_path / "elsewhere")
    for look in (check_places, lambda place: check_merged(place, "restore"), shards_in):
        with pytest.raises(ConfigError, match="is a link to"):
            look(tmp_path / "out")


@pytest.mark.parametrize("suffix", [".lock", ".planned", ".jsonl"])
def test_nothing_of_a_part_is_opened_through_a_link_or_from_a_pipe(tmp_path, suffix):
    (tmp_path / "original").write_bytes(b"original")
    place = tmp_path / "out" / ".shards" / f"0-of-2{suffix}"
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "original")
    works = [write_alone] if suffix == ".planned" else [write_alone, merge_alone]
    for work in works:
        with pytest.raises(ConfigError, match="is a link to"):
            work(tmp_path / "out")
    assert (tmp_path / "original").read_bytes() == b"original"
    place.unlink()
    os.mkfifo(place)
    for work in works:
        with pytest.raises(ConfigError, match="expected a file, this is none"):
            work(tmp_path / "out")


def merge_alone(output):
    earlier_run(output, "restore", Shard(0, 2))
    merge([output])


def write_alone(output):
    earlier_run(output, "restore", Shard(0, 2))
    with writing(output, ["a.jpg"], Shard(0, 2)):
        pass
