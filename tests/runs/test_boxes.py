import re
from pathlib import Path

import pytest

from faceren.errors import ConfigError
from faceren.faces.given import GivenFace
from faceren.runs.lists import given_faces, given_marks, read_boxes, read_marks
from faceren.runs.plan import Job

POINTS = ((30.0, 40.0), (60.0, 40.0), (45.0, 60.0), (33.0, 80.0), (57.0, 80.0))


@pytest.fixture
def written(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_reads_json_lines(written):
    path = written(
        "missed.jsonl",
        '{"photo": "a/ü, b.jpg", "box": [10, 20, 90, 120]}\n\n'
        '{"photo": "c.png", "box": [1, 2.5, 30, 40], "landmarks": '
        "[[30, 40], [60, 40], [45, 60], [33, 80], [57, 80]]}\n",
    )
    lines = read_boxes(path)
    assert [line.photo for line in lines] == ["a/ü, b.jpg", "c.png"]
    assert lines[0].face == GivenFace((10, 20, 90, 120))
    assert lines[1].face == GivenFace((1, 2.5, 30, 40), POINTS)


def test_reads_csv_with_or_without_a_head(written):
    body = '"a/ü, b.jpg",10,20,90,120\r\nc.png,1,2.5,30,40,30,40,60,40,45,60,33,80,57,80\r\n'
    for head in ("", "photo,x0,y0,x1,y1\r\n"):
        lines = read_boxes(written("missed.csv", head + body))
        assert [line.photo for line in lines] == ["a/ü, b.jpg", "c.png"]
        assert lines[0].face == GivenFace((10, 20, 90, 120))
        assert lines[1].face == GivenFace((1, 2.5, 30, 40), POINTS)


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("b.jsonl", "a.jpg 1 2 3 4", "line 2: expected a JSON object such as"),
        ("b.jsonl", "[1, 2]", 'line 2: expected a JSON object with "photo", got'),
        ("b.jsonl", '{"photo": "a.jpg"}', "line 2: box: expected 4 numbers, got None"),
        ("b.jsonl", '{"photo": "a.jpg", "box": [1, 2, 3]}', "box: expected 4 numbers"),
        ("b.jsonl", '{"photo": "a.jpg", "box": [1, 2, 3, NaN]}', "box: expected 4 numbers"),
        ("b.jsonl", '{"photo": "a.jpg", "box": [1, 2, 3, "4"]}', "box: expected 4 numbers"),
        ("b.jsonl", '{"photo": "a.jpg", "box": [9, 2, 3, 40]}', "box: expected x0 < x1"),
        ("b.jsonl", '{"photo": "a.jpg", "bbox": [1, 2, 3, 4]}', "got 'bbox'"),
        (
            "b.jsonl",
            '{"photo": "a.jpg", "box": [1, 2, 30, 40], "landmarks": [[1, 2], [3, 4]]}',
            "landmarks: expected 10 numbers",
        ),
        (
            "b.jsonl",
            '{"photo": "a.jpg", "box": [1, 2, 30, 40], '
            '"landmarks": [[1, 2], [1, 2], [1, 2], [1, 2], [1, 2]]}',
            "landmarks: expected five different points",
        ),
        ("b.csv", "a.jpg,1,2,3", "line 2: expected photo,x0,y0,x1,y1 .* got 4 columns"),
        ("b.csv", "a.jpg,1,2,3,four", "line 2: expected a number, got 'four'"),
        ("b.csv", "a.jpg,1,2,inf,4", "box: expected 4 numbers"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(written, name, line, said):
    good = (
        "c.jpg,1,2,30,40" if name.endswith("csv") else '{"photo": "c.jpg", "box": [1, 2, 30, 40]}'
    )
    with pytest.raises(ConfigError, match=said):
        read_boxes(written(name, f"{good}\n{line}\n"))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="--boxes: expected a text file"):
        read_boxes(tmp_path / "none.csv")


def test_boxes_go_to_the_photo_of_that_output_or_input(written):
    jobs = [Job(Path(f"in/{n}.jpg"), Path(f"out/{n}.jpg"), f"{n}.jpg") for n in "abc"]
    path = written("b.csv", "a.jpg,1,2,30,40\nin/b.jpg,5,6,70,80\na.jpg,9,9,50,50\n")
    given = given_faces(jobs, read_boxes(path))
    assert {key: [face.box[0] for face in faces] for key, faces in given.items()} == {
        "a.jpg": [1, 9],
        "b.jpg": [5],
    }


def test_a_photo_that_is_not_there_is_named(written):
    path = written("b.csv", "z.jpg,1,2,30,40\n")
    with pytest.raises(ConfigError, match="line 1: 'z.jpg' is none of the 0 photos of this run"):
        given_faces([], read_boxes(path))


def test_marks_to_keep_are_read_and_grouped_by_photo(written, tmp_path):
    path = written(
        "marks.jsonl",
        '{"photo": "a.jpg", "box": [1, 2, 30, 4]}\n\n{"photo": "a.jpg", "box": [5, 6, 7, 8], '
        '"page": 2}\r\n{"photo": "b.png"}\n',
    )
    jobs = [Job(tmp_path / name, tmp_path / "out" / name, name) for name in ("a.jpg", "b.png")]
    assert given_marks(jobs, read_marks(path)) == {
        "a.jpg": frozenset([(0, (1, 2, 30, 4)), (2, (5, 6, 7, 8))]),
        "b.png": frozenset(),
    }
    with pytest.raises(ConfigError, match=r"line 4: 'b.png' is none of the 1 photos of this run"):
        given_marks(jobs[:1], read_marks(path))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.jpg", "line 1: expected a JSON object such as"),
        ('{"photo": 3}', 'line 1: expected a JSON object with "photo", got'),
        ('{"photo": "a.jpg", "box": [1, 2]}', "box: expected 4 numbers"),
        ('{"photo": "a.jpg", "face": 1}', "expected photo, box and page, got 'face'"),
        ('{"photo": "a.jpg", "page": -1}', "page: expected a whole number from 0, got -1"),
        ('{"photo": "a.jpg", "page": 0.5}', "page: expected a whole number from 0, got 0.5"),
    ],
)
def test_a_line_of_marks_that_makes_no_sense_is_named(line, said, written):
    with pytest.raises(ConfigError, match=re.escape(said)):
        read_marks(written("marks.jsonl", line))
    with pytest.raises(ConfigError, match="--repair-keep: expected a text file, .*nowhere"):
        read_marks(written("marks.jsonl", line).parent / "nowhere")
