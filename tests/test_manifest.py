import json

import pytest

from faceren.errors import ConfigError
from faceren.manifest import ManifestWriter, read_manifest


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
def test_a_torn_last_line_is_ignored_and_then_cut_off(tmp_path, cut):
    path = tmp_path / "manifest.jsonl"
    with ManifestWriter(path, {}) as writer:
        writer.append({"input": "a", "status": "restored"})
        writer.append({"input": "b", "status": "restored", "reason": "x" * 60})
    path.write_bytes(path.read_bytes()[:-cut])
    assert list(read_manifest(path).items) == ["a"]
    with ManifestWriter(path, {}) as writer:
        writer.append({"input": "c", "status": "restored"})
    assert list(read_manifest(path).items) == ["a", "c"]


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"format_version": 1}\nno json\n')
    with pytest.raises(ConfigError, match="line 2 is no JSON"):
        read_manifest(path)


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "manifest.jsonl"
    path.write_text(json.dumps({"format_version": 9}) + "\n")
    with pytest.raises(ConfigError, match="manifest format 9, this version reads 1"):
        read_manifest(path)


def test_nan_never_enters_a_manifest(tmp_path):
    with ManifestWriter(tmp_path / "m", {}) as writer, pytest.raises(ValueError, match="JSON"):
        writer.append({"input": "a", "score": float("nan")})
