import json
import re
from pathlib import Path

import pytest

from faceren.errors import ConfigError, MachineError
from faceren.runs import manifest as manifest_module
from faceren.runs.manifest import ManifestWriter, read_manifest, relocated, source_of


def test_what_is_appended_is_read_back(tmp_path):
    path = tmp_path / "out" / "manifest.jsonl"
    with ManifestWriter(path, {"tool": "faceren"}) as writer:
        writer.append({"input": "ä\n.jpg", "output": "o.jpg", "status": "restored"})
    manifest = read_manifest(path)
    assert manifest.header["tool"] == "faceren"
    assert manifest.items["o.jpg"]["input"] == "ä\n.jpg"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_a_later_line_replaces_an_earlier_one(tmp_path):
    path = tmp_path / "manifest.jsonl"
    for status in ("failed", "restored"):
        with ManifestWriter(path, {"run": status}) as writer:
            writer.append({"key": "a.jpg", "input": "a.jpg", "status": status})
    manifest = read_manifest(path)
    assert [item["status"] for item in manifest.items.values()] == ["restored"]
    assert manifest.header["run"] == "restored"


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_ignored_and_then_cut_off(tmp_path, cut, monkeypatch):
    monkeypatch.setattr(manifest_module, "PIECE", 16)
    path = tmp_path / "manifest.jsonl"
    with ManifestWriter(path, {}) as writer:
        writer.append({"input": "a", "status": "restored"})
        writer.append({"input": "b", "status": "restored", "reason": "x" * 60})
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read_manifest(path).items) == ["a"]
    with ManifestWriter(path, {}) as writer:
        writer.append({"input": "c", "status": "restored"})
    assert list(read_manifest(path).items) == ["a", "c"]


FACE = {"box": [1, 2, 30, 40], "landmarks": [[1, 2]] * 5, "crop": 256}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "expected one JSON object"),
        ("[1, 2]", r"expected one JSON object, got \[1, 2\]"),
        ("[" * 100_000, "expected one JSON object"),
        ('{"input": "a", "score": NaN}', "NaN is no number"),
        ('{"input": "a", "seed": 1e400}', "1e400 is no number"),
        ('{"input": "a", "n": ' + "9" * 5000 + "}", "expected one JSON object"),
        ('{"input": 3}', "input: expected a path, got 3"),
        ('{"input": "a", "status": ["x"]}', "status: expected a text"),
        ('{"input": "a", "faces": "many"}', "faces: expected a list of objects"),
        ('{"input": "a", "faces": [7]}', "faces: expected a list of objects"),
        ('{"input": "a", "key": "/etc/passwd"}', "key: expected a path below the output folder"),
        ('{"input": "a", "key": "b/../../c"}', "key: expected a path below the output folder"),
        ('{"input": "a", "key": "b\\u0000"}', "key: expected a path below the output folder"),
        (json.dumps({"input": "a", "faces": [FACE, FACE | {"crop": "x"}]}), "face 2, crop: "),
        (json.dumps({"input": "a", "faces": [FACE | {"box": [1, 2]}]}), "box: expected four"),
        (json.dumps({"input": "a", "faces": [FACE | {"landmarks": [1] * 5}]}), "five points"),
        ('{"format_version": 1, "options": []}', "options: expected an object"),
    ],
)
def test_a_damaged_line_is_left_out_and_named_and_the_rest_is_used(tmp_path, line, said):
    path = tmp_path / "manifest.jsonl"
    good = json.dumps({"input": "z", "faces": [FACE]})
    path.write_text(f'{{"format_version": 1}}\n{line}\n{good}\n')
    manifest = read_manifest(path)
    assert list(manifest.items) == ["z"]
    (problem,) = manifest.problems
    assert problem.startswith(f"{path}: line 2 is left out: ")
    assert re.search(said, problem)


def test_a_manifest_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    (tmp_path / "manifest.jsonl").symlink_to(tmp_path / "precious.txt")
    with pytest.raises(ConfigError, match="expected a file of ours"):
        ManifestWriter(tmp_path / "manifest.jsonl", {})
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text(json.dumps({"format_version": 9}) + "\n")
    with pytest.raises(ConfigError, match="manifest format 9, this version reads 1"):
        read_manifest(path)


def test_nan_never_enters_a_manifest(tmp_path):
    with ManifestWriter(tmp_path / "m", {}) as writer, pytest.raises(ValueError, match="JSON"):
        writer.append({"input": "a", "score": float("nan")})


def test_a_name_that_is_no_text_comes_back(tmp_path):
    with ManifestWriter(tmp_path / "manifest.jsonl", {}) as writer:
        writer.append({"input": "é\udcff.jpg"})
    assert list(read_manifest(tmp_path / "manifest.jsonl").items) == ["é\udcff.jpg"]


def test_each_line_knows_the_header_of_its_run(tmp_path):
    path = tmp_path / "manifest.jsonl"
    for run, names in (("first", "ab"), ("second", "c")):
        with ManifestWriter(path, {"run": run}) as writer:
            for name in names:
                writer.append({"input": name})
    manifest = read_manifest(path)
    assert {key: header["run"] for key, header in manifest.headers.items()} == {
        "a": "first",
        "b": "first",
        "c": "second",
    }
    assert manifest.main_header["run"] == "first"
    assert manifest.header["run"] == "second"


def test_runs_that_differ_in_their_date_alone_are_one_to_the_main_header(tmp_path):
    path = tmp_path / "manifest.jsonl"
    for day, (run, names) in enumerate((("a", "xy"), ("b", "uv"), ("a", "z"))):
        with ManifestWriter(path, {"run": run, "date": str(day)}) as writer:
            for name in names:
                writer.append({"input": name})
    assert read_manifest(path).main_header["run"] == "a"
    with ManifestWriter(path, {"run": "b", "date": "3"}) as writer:
        for name in "wt":
            writer.append({"input": name})
    assert read_manifest(path).main_header["run"] == "b"


def test_an_input_is_found_beside_a_folder_that_moved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moved/photos").mkdir(parents=True)
    (tmp_path / "moved/photos/a.jpg").touch()
    item = {"input": "photos/a.jpg"}
    assert source_of(item, tmp_path / "moved/out") == tmp_path / "moved/photos/a.jpg"
    assert source_of({"input": "gone.jpg"}, tmp_path / "moved/out") == Path("gone.jpg")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_said_in_one_line(tmp_path):
    with ManifestWriter(tmp_path / "m", {}) as writer:
        writer._file.close()
        writer._file = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 (the writer closes it)
        with pytest.raises(MachineError, match=r"cannot write .*m: No space left .*free space"):
            writer.append({"input": "a"})


def test_an_input_that_was_named_from_within_its_folder_is_found_from_everywhere(
    tmp_path, monkeypatch
):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").touch()
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    line = relocated({"key": "a.jpg", "input": "a.jpg"}, Path("../out"))
    assert line == {"key": "a.jpg", "input": "in/a.jpg"}
    assert source_of(line, Path("../out")).samefile("a.jpg")
    (tmp_path / "out/a.jpg").touch()
    for folder in (tmp_path, tmp_path / "out", Path("/")):
        monkeypatch.chdir(folder)
        assert source_of(line, tmp_path / "out").samefile(tmp_path / "in/a.jpg")
    monkeypatch.chdir(tmp_path / "out")
    assert source_of(line, Path()).samefile("../in/a.jpg")
    # an older record has the name as it was given; the output is never taken for it
    assert not source_of({"key": "a.jpg", "input": "in.jpg"}, Path()).is_file()
    monkeypatch.chdir("/")
    assert source_of({"key": "a.jpg", "input": "a.jpg"}, tmp_path / "out") == Path("a.jpg")


def test_an_input_on_another_drive_is_recorded_whole(tmp_path, monkeypatch):
    def none(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    monkeypatch.setattr("os.path.relpath", none)
    line = relocated({"key": "a.jpg", "input": "a.jpg"}, tmp_path / "out")
    assert line["input"] == str(tmp_path / "in/a.jpg")


def test_an_input_is_recorded_as_it_was_given_from_beside_the_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.jpg", "../elsewhere/a.jpg", "/scans/a.jpg", "s3:/archive/a.jpg"):
        line = {"key": "a.jpg", "input": name}
        assert relocated(line, Path("out")) == line
