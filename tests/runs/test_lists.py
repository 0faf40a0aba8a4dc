import json
import re
from pathlib import Path

import pytest

from faceren.errors import ConfigError
from faceren.runs.lists import Choice, listed, photos_only, read_list, resolved
from faceren.runs.plan import Job


def written(tmp_path, text):
    (tmp_path / "list.txt").write_text(text, encoding="utf-8", newline="")
    return read_list(tmp_path / "list.txt", "--revert")


@pytest.mark.parametrize(
    ("line", "choice"),
    [
        ("a b/c.jpg", Choice("a b/c.jpg")),
        ("a.jpg\t2", Choice("a.jpg", 1)),
        ("a.jpg\r", Choice("a.jpg")),
        ("tab\there.jpg", Choice("tab\there.jpg")),
        ("a.jpg\t\x1c2\x1c", Choice("a.jpg", 1)),
        (json.dumps("line\nbreak\t1"), Choice("line\nbreak\t1")),
        (json.dumps('"') + "\t12", Choice('"', 11)),
        (r'"\udcff.jpg"', Choice("\udcff.jpg")),
        ("#1.jpg", Choice("#1.jpg")),
        ("u\u2028v\x0b.jpg", Choice("u\u2028v\x0b.jpg")),
    ],
)
def test_a_line_names_a_photo_or_a_face(line, choice, tmp_path):
    assert written(tmp_path, f"{line}\n\n") == [choice]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"open', "line 2: a quoted path must be a JSON string"),
        ('"a" 0', "line 2: expected a face's number from 1"),
        ('"a" b', "line 2: expected a face's number from 1"),
        ("a.jpg\t0", "line 2: expected a face's number from 1"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(line, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        written(tmp_path, f"fine.jpg\n{line}\n")


def test_a_list_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="--only: expected a text file"):
        read_list(tmp_path / "gone.txt", "--only")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="--only: expected a text file"):
        read_list(tmp_path / "bytes", "--only")


def test_faces_make_no_sense_where_photos_are_restored():
    whole = [Choice("a"), Choice("b")]
    assert photos_only(whole) == whole
    with pytest.raises(ConfigError, match="--only l.txt: line 3: expected photos, got face 2 of"):
        photos_only([*whole, Choice("a", 1, "--only l.txt: line 3")])


def test_the_whole_photo_counts_for_more_than_its_faces():
    keys = {"a": "a", "b": "b", "photos/b": "b"}
    wanted = resolved([Choice("b", 0), Choice("photos/b", 2), Choice("a", 1), Choice("a")], keys)
    assert wanted == {"b": {0, 2}, "a": None}


def test_a_name_that_is_no_photo_is_said_with_file_and_line(tmp_path):
    choices = written(tmp_path, "a\n\nc\n")
    place = re.escape(f"--revert {tmp_path / 'list.txt'}: line 3: 'c' is none of the 2 photos")
    with pytest.raises(ConfigError, match=place):
        resolved(choices, {"a": "a", "b": "b", "photos/b": "b"})


def test_a_space_in_place_of_the_tab_is_named(tmp_path):
    with pytest.raises(ConfigError, match="'a 2' is none of the 2 photos of this run; a tab, not"):
        resolved(written(tmp_path, "a 2\n"), {"a": "a", "b 2": "b 2"})
    assert resolved(written(tmp_path, "b 2\n"), {"a": "a", "b 2": "b 2"}) == {"b 2": None}


def test_a_list_that_is_not_there_says_how_to_do_without(tmp_path):
    expected = "/none: No such file or directory; --revert - reads the lines from stdin"
    with pytest.raises(ConfigError, match=expected):
        read_list(tmp_path / "none", "--revert")


def test_a_list_picks_by_output_or_input_and_names_strangers():
    keys = ("a/c.jpg", "b.png", "d.png")
    jobs = [Job(Path("photos", key), Path("out", key), key) for key in keys]
    picked = listed(jobs, [Choice("b.png"), Choice("photos/a/c.jpg"), Choice("photos/b.png")])
    assert [job.key for job in picked] == ["b.png", "a/c.jpg"]
    with pytest.raises(ConfigError, match="'zz.png' is none of the 3 photos"):
        listed(jobs, [Choice("zz.png")])
