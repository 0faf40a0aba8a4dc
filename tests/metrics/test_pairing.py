"""Which reference belongs to which result: by name, or along the manifests."""

import pytest

from faceren.errors import ConfigError, NothingToDoError
from faceren.metrics.pairing import pair_up
from faceren.runs.manifest import MANIFEST_NAME, ManifestWriter


def touch(folder, *names):
    """Make files of these names; their content does not matter here."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def manifest(folder, command, *lines):
    with ManifestWriter(folder / MANIFEST_NAME, {"command": command}) as writer:
        for line in lines:
            writer.append(line)


def chain(tmp_path):
    """A clean image that was degraded, and the degraded one restored."""
    for folder in ("clean", "bad", "out"):
        touch(tmp_path / folder, "a.png")
    degraded = {
        "key": "a.png",
        "input": str(tmp_path / "clean" / "a.png"),
        "input_sha256": "ab" * 32,
        "output": str(tmp_path / "bad" / "a.png"),
        "resize": {"width": 64, "height": 64, "filter": "area"},
    }
    manifest(tmp_path / "bad", "degrade", degraded)
    restored = {
        "key": "a.png",
        "input": str(tmp_path / "bad" / "a.png"),
        "output": str(tmp_path / "out" / "a.png"),
        "faces": [{"identity_distance": d} for d in (0.2, 0.4, None)] + [{"identity": 0.9}],
    }
    manifest(tmp_path / "out", "restore", restored)
    return tmp_path / "out"


def test_the_chain_of_manifests_leads_to_the_clean_source(tmp_path):
    found = pair_up(chain(tmp_path), None)
    (row,) = found.rows
    assert (row.path, row.result) == ("a.png", tmp_path / "out" / "a.png")
    assert row.reference == tmp_path / "clean" / "a.png"
    assert row.input == tmp_path / "bad" / "a.png"
    assert row.reference_sha256 == "ab" * 32
    assert row.resize == {"width": 64, "height": 64, "filter": "area"}
    assert row.identity == pytest.approx(
        0.3
    )  # of the two that were measured; one has dlib's, of earlier
    assert (found.source, found.strays, found.failures) == ("manifest", (), ())
    assert (row.values, row.failures) == ({}, {})


def test_a_reference_that_is_given_keeps_the_resize_but_no_hash(tmp_path):
    out, other = chain(tmp_path), touch(tmp_path / "other", "a.jpg")
    (row,) = pair_up(out, other).rows
    assert row.reference == other / "a.jpg"
    assert row.reference_sha256 == ""  # another file than the one that was degraded
    assert row.resize == {"width": 64, "height": 64, "filter": "area"}


def test_manifests_that_lead_in_a_circle_lead_nowhere(tmp_path):
    touch(tmp_path, "a.png", "b.png")
    lines = [
        {"key": x, "input": str(tmp_path / y), "output": str(tmp_path / x)}
        for x, y in (("a.png", "b.png"), ("b.png", "a.png"))
    ]
    manifest(tmp_path, "restore", *lines)
    found = pair_up(tmp_path, None)
    assert [row.reference for row in found.rows] == [None, None]
    assert found.source is None


def test_what_failed_and_what_is_gone_are_told_apart(tmp_path):
    touch(tmp_path / "out", "b.png")
    manifest(
        tmp_path / "out",
        "restore",
        {"key": "a.png", "input": "a.png", "output": None, "reason": "damaged"},
        {"key": "b.png", "input": "b.png", "output": str(tmp_path / "out" / "b.png")},
        {"key": "c.png", "input": "c.png", "output": None, "status": "failed"},
        {"key": "d.png", "input": "d.png", "output": str(tmp_path / "out" / "d.png")},
    )
    touch(tmp_path / "out", "stray.png")  # not in the manifest: no result
    found = pair_up(tmp_path / "out", None)
    assert [row.path for row in found.rows] == ["b.png"]
    reasons = dict(found.failures)
    assert (reasons["a.png"], reasons["c.png"]) == ("damaged", "failed")
    assert "d.png is in the manifest, but the file is gone" in reasons["d.png"]


def test_a_folder_without_a_manifest_is_all_results_but_the_sheet(tmp_path):
    touch(tmp_path, "b/1.png", "a.png", "worst.png")
    assert [row.path for row in pair_up(tmp_path, None).rows] == ["a.png", "b/1.png"]


def test_twins_have_one_name_whatever_the_suffix(tmp_path):
    out = touch(tmp_path / "out", "a.png", "b.png", "c.png", "sub/a.png")
    ref = touch(tmp_path / "ref", "a.png", "a.jpg", "b.webp", "sub/a.tif", "d.png")
    found = pair_up(out, ref)
    twins = {row.path: row.reference.relative_to(ref).as_posix() for row in found.rows}
    assert twins == {"a.png": "a.png", "b.png": "b.webp", "sub/a.png": "sub/a.tif"}
    assert found.strays == ("c.png", str(ref / "a.jpg"), str(ref / "d.png"))
    assert found.source == str(ref)


def test_an_accent_has_one_name_however_it_is_spelled(tmp_path):
    one, two = "Jos\u00e9", "Jose\u0301"
    out = touch(tmp_path / "out", f"{one}.png", f"{two}/a.png", f"{one}.jpg")
    ref = touch(tmp_path / "ref", f"{two}.png", f"{one}/a.png", f"{one}.jpg")
    found = pair_up(out, ref)
    twins = {row.path: row.reference.relative_to(ref).as_posix() for row in found.rows}
    assert twins == {
        f"{one}.png": f"{two}.png",
        f"{two}/a.png": f"{one}/a.png",
        f"{one}.jpg": f"{one}.jpg",
    }
    assert found.strays == ()


def test_two_twins_of_other_suffixes_are_one_too_many(tmp_path):
    out, ref = touch(tmp_path / "out", "a.png"), touch(tmp_path / "ref", "a.jpg", "a.webp")
    with pytest.raises(ConfigError, match=r"a\.png could belong to a\.jpg, a\.webp; remove one"):
        pair_up(out, ref)


def test_one_image_has_one_reference(tmp_path):
    out, ref = touch(tmp_path / "out", "a.png", "b.png"), touch(tmp_path, "clean.png")
    (row,) = pair_up(out / "a.png", ref / "clean.png").rows
    assert row.reference == ref / "clean.png"
    with pytest.raises(ConfigError, match="expected a folder for 2 results, got one file"):
        pair_up(out, ref / "clean.png")


def test_paths_that_are_not_there_are_named(tmp_path):
    with pytest.raises(ConfigError, match="results: .* does not exist"):
        pair_up(tmp_path / "none", None)
    with pytest.raises(NothingToDoError, match="no image to score"):
        pair_up(tmp_path, None)
    touch(tmp_path, "a.png")
    with pytest.raises(ConfigError, match="--reference: .* does not exist"):
        pair_up(tmp_path, tmp_path / "none")
