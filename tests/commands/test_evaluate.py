"""Evaluate: what is paired with what, what is computed, what is said when it cannot be."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from faceren.commands.evaluate import Scored, evaluate
from faceren.commands.options import EvaluateOptions
from faceren.errors import ConfigError, NothingToDoError
from faceren.files import sha256_of
from faceren.images import read_rgb, write_png
from faceren.metrics.inception import load_statistics
from faceren.pages.tables import write_worst
from faceren.runs.manifest import MANIFEST_NAME, ManifestWriter
from faceren.runs.storage import Storage
from tests.calls import degraded, evaluated

ASTRONAUT = data.astronaut()


def face(number: int, side: int = 64) -> np.ndarray:
    """Return a patch of a photo, another for each number."""
    x, y = 40 * (number % 8), 40 * (number // 8)
    return np.ascontiguousarray(ASTRONAUT[y : y + side, x : x + side])


def folder(path: Path, count: int = 3, *, brighter: int = 0, suffix: str = "png") -> Path:
    for number in range(count):
        image = np.clip(face(number).astype(int) + brighter, 0, 255).astype(np.uint8)
        write_png(path / "people" / f"{number}.png", image)
        if suffix != "png":
            name = path / "people" / f"{number}"
            name.with_suffix(".png").rename(name.with_suffix(f".{suffix}"))
    return path


@pytest.fixture
def clean(tmp_path) -> Path:
    return folder(tmp_path / "clean")


@pytest.fixture
def results(tmp_path) -> Path:
    return folder(tmp_path / "out", brighter=10)


def test_pairs_go_by_relative_path_whatever_the_suffix(tmp_path, results):
    clean = folder(tmp_path / "clean", suffix="webp")
    for path in clean.rglob("*.webp"):  # PNG bytes under another name: read by content
        assert path.read_bytes().startswith(b"\x89PNG")
    report = evaluated(results, reference=clean, metrics=("psnr",)).to_json()
    rows = {row["path"]: row["psnr"] for row in report["images"]}
    assert set(rows) == {"people/0.png", "people/1.png", "people/2.png"}
    mean = report["metrics"]["psnr"]["mean"]
    assert mean == pytest.approx(sum(rows.values()) / 3)
    assert 28 < mean < 30  # ten levels are 28.1 dB, less where white stays white
    assert report["n"] == report["metrics"]["psnr"]["n"] == 3
    assert (report["strays"], report["failures"]) == ([], [])


def test_the_report_is_json_with_a_number_for_every_mean(results, clean):
    metrics = ("psnr", "ssim", "lpips")
    report = evaluated(results, reference=clean, metrics=metrics).to_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert tuple(report["metrics"]) == metrics
    for figure in report["metrics"].values():
        low, high = figure["ci95"]
        assert low <= figure["mean"] <= high
        assert figure["by"].startswith("faceren")


def test_strays_on_both_sides_are_named(results, clean):
    (results / "people" / "0.png").unlink()
    (clean / "people" / "1.png").unlink()
    evaluation = evaluated(results, reference=clean, metrics=("psnr",))
    assert evaluation.strays == ("people/1.png", str(clean / "people" / "0.png"))
    assert [row.path for row in evaluation.scores.images] == ["people/2.png"]
    assert evaluation.exit_status == 1


def test_two_possible_twins_are_refused(results, clean):
    for suffix in (".jpg", ".webp"):
        (clean / "people" / "0.png").with_suffix(suffix).write_bytes(
            (clean / "people" / "0.png").read_bytes()
        )
    evaluated(results, reference=clean, metrics=("psnr",))  # the same name wins
    (clean / "people" / "0.png").unlink()
    with pytest.raises(ConfigError, match=r"people/0\.png could belong to people/0\.jpg, people"):
        evaluated(results, reference=clean, metrics=("psnr",))


def test_degraded_images_lead_to_their_sources_and_their_size(tmp_path):
    for number in range(2):
        write_png(tmp_path / "clean" / f"{number}.png", face(number, 256))
    degraded([tmp_path / "clean"], tmp_path / "bad", task="jpeg", size=128)
    evaluation = evaluated(tmp_path / "bad", metrics=("psnr",))
    assert evaluation.reference == "manifest"
    assert evaluation.exit_status == 0
    row = evaluation.scores.images[0]
    assert row.reference == tmp_path / "clean" / "0.png"
    small = cv2.resize(face(0, 256), (128, 128), interpolation=cv2.INTER_AREA)
    error = np.square(read_rgb(row.result).astype(float) - small).mean()
    assert row.values["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=1e-3)


def restored(tmp_path: Path) -> Path:
    """Make what restore makes of degraded images: a manifest, and files of the same names."""
    for number in range(2):
        write_png(tmp_path / "clean" / f"{number}.png", face(number))
    degraded([tmp_path / "clean"], tmp_path / "bad", task="jpeg")
    with ManifestWriter(tmp_path / "out" / MANIFEST_NAME, {"command": "restore"}) as manifest:
        for number in range(3):
            name = f"{number}.png"
            if number < 2:
                write_png(tmp_path / "out" / name, face(number))
            bad = tmp_path / "bad" / name
            line = {"key": name, "input": str(bad), "status": "restored"}
            if bad.exists():
                line["input_sha256"] = sha256_of(bad)
            faces = [{"identity_distance": d} for d in (0.1, 0.3, None)]
            output = str(tmp_path / "out" / name)
            if number == 2:
                line |= {"status": "failed", "reason": "2.png is damaged"}
            manifest.append(line | {"output": output if number < 2 else None, "faces": faces})
    write_png(tmp_path / "out" / "faces" / "0_00_after.png", face(5))
    return tmp_path / "out"


def test_restored_images_lead_through_both_manifests(tmp_path):
    evaluation = evaluated(restored(tmp_path), metrics=("psnr", "identity"))
    assert [row.path for row in evaluation.scores.images] == ["0.png", "1.png"]
    assert evaluation.scores.metrics["psnr"].mean == pytest.approx(100)  # restored to the original
    assert evaluation.scores.metrics["identity"].mean == pytest.approx(0.2)
    assert evaluation.failures == (("2.png", "2.png is damaged"),)
    assert evaluation.exit_status == 1


def test_moved_folders_still_find_each_other(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    write_png(Path("clean/0.png"), face(0))
    degraded([Path("clean")], Path("bad"), task="jpeg")
    monkeypatch.chdir(tmp_path)
    assert evaluated(Path("a/bad"), metrics=("psnr",)).reference == "manifest"


def test_a_source_that_changed_is_no_reference(tmp_path):
    out = restored(tmp_path)
    write_png(tmp_path / "clean" / "0.png", face(7))
    evaluation = evaluated(out, metrics=("psnr",))
    assert [row.path for row in evaluation.scores.images] == ["1.png"]
    assert "has changed since it was degraded" in evaluation.failures[1][1]


def test_a_file_that_is_gone_is_named(tmp_path):
    out = restored(tmp_path)
    (out / "1.png").unlink()
    failures = dict(evaluated(out, metrics=("psnr",)).failures)
    assert "the file is gone" in failures["1.png"]


def test_other_sizes_and_unreadable_files_fail_alone(results, clean):
    write_png(results / "people" / "0.png", face(0, 96))
    (results / "people" / "1.png").write_bytes(b"no image")
    evaluation = evaluated(results, reference=clean, metrics=("psnr",))
    failures = dict(evaluation.failures)
    assert "size of its reference, 64x64, got 96x96" in failures["people/0.png"]
    assert "1.png" in failures["people/1.png"]
    assert evaluation.scores.metrics["psnr"].n == 1
    assert evaluation.scores.metrics["psnr"].ci95 is None
    assert evaluation.exit_status == 1


def test_a_metric_that_no_image_allows_has_no_mean(results, clean):
    evaluation = evaluated(results, reference=clean, metrics=("ms-ssim", "psnr"))
    assert list(evaluation.scores.metrics) == ["psnr"]
    assert "at least 176x176" in evaluation.scores.not_computed["ms-ssim"]
    assert evaluation.exit_status == 1


def test_faces_that_are_not_found_are_counted(results, clean):
    scores = evaluated(results, reference=clean, metrics=("fed", "lle")).scores
    assert scores.metrics == {}
    assert scores.not_computed["fed"] == "no pair of images in which dlib finds a face in both"


def test_gray_against_colour_is_said(results, clean):
    gray = np.repeat(face(0)[..., :1], 3, axis=2)
    write_png(results / "people" / "0.png", gray)
    evaluation = evaluated(results, reference=clean, metrics=("psnr",))
    assert evaluation.scores.warnings[0].startswith("1 pairs compare a gray image")


def test_references_that_are_needed_and_absent(results):
    with pytest.raises(ConfigError, match=r"--metrics psnr,fid: expected references"):
        evaluated(results, metrics=("niqe", "psnr", "fid"))
    with pytest.raises(ConfigError, match="does not exist"):
        evaluated(results, reference=results / "none")


def test_unknown_options_and_empty_folders(tmp_path, results):
    with pytest.raises(ConfigError, match="did you mean 'niqe'"):
        evaluated(results, metrics=("niqa",))
    with pytest.raises(ConfigError, match="--protocol: .*'pager'; did you mean 'paper'"):
        evaluated(results, protocol="pager")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToDoError, match="no image to score"):
        evaluated(tmp_path / "empty")
    with pytest.raises(ConfigError, match="does not exist"):
        evaluated(tmp_path / "none")


def test_nothing_that_can_be_scored_is_nothing_to_do(results, clean):
    for path in results.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(NothingToDoError, match="could be scored"):
        evaluated(results, reference=clean, metrics=("psnr",))


def test_each_image_is_told_and_the_limit_is_kept(results, clean):
    options = EvaluateOptions(reference=clean, metrics=("psnr",), limit=2, device="cpu")
    *told, evaluation = evaluate(results, options)
    assert told == [Scored(1, 2), Scored(2, 2)]
    assert len(evaluation.scores.images) == 2
    assert evaluation.strays == ()


def test_without_references_naturalness_is_what_can_be_said(tmp_path):
    write_png(tmp_path / "out" / "a.png", ASTRONAUT)
    scores = evaluated(tmp_path / "out").scores
    assert list(scores.metrics) == ["niqe"]
    paper = evaluated(tmp_path / "out" / "a.png", protocol="paper").scores
    assert scores.metrics["niqe"].mean < 4 < paper.metrics["niqe"].mean


def test_saved_statistics_are_compared_with(tmp_path, results, clean):
    saved = evaluated(clean, metrics=("fid",), save_stats=tmp_path / "clean.npz")
    assert saved.exit_status == 0
    assert load_statistics(tmp_path / "clean.npz").count == 3
    against_file = evaluated(results, reference=tmp_path / "clean.npz", metrics=("fid",)).scores
    against_folder = evaluated(results, reference=clean, metrics=("fid",)).scores
    assert against_file.metrics["fid"].mean > 1
    assert against_file.metrics["fid"].mean == pytest.approx(
        against_folder.metrics["fid"].mean, abs=1e-3
    )
    assert set(against_file.metrics) == {"fid", "kid"}


def test_the_worst_come_first_on_the_sheet(results, clean, tmp_path):
    write_png(results / "people" / "1.png", 255 - face(1))
    evaluation = evaluated(results, reference=clean, metrics=("psnr",))
    assert [row.path for row in evaluation.worst(1, "psnr")] == ["people/1.png"]
    assert write_worst(evaluation, results / "worst.png", count=2) == "psnr"
    assert read_rgb(results / "worst.png").shape[0] > 2 * 256
    again = evaluated(results, reference=clean, metrics=("psnr",))
    assert len(again.scores.images) == 3  # the sheet is no result
    with pytest.raises(ConfigError, match="no image has a figure of 'lpips'"):
        write_worst(evaluation, tmp_path / "w.png", count=1, by="lpips")


def test_the_sheet_shows_input_output_and_reference(tmp_path):
    out = restored(tmp_path)
    evaluation = evaluated(out, metrics=("psnr",))
    row = evaluation.scores.images[0]
    assert row.input == tmp_path / "bad" / "0.png"
    write_worst(evaluation, tmp_path / "sheet.png", count=16)
    three = read_rgb(tmp_path / "sheet.png")
    assert three.shape[1] == 8 + 3 * (256 + 8)
    assert three.shape[0] > 2 * 256
    (tmp_path / "bad" / "0.png").unlink()
    (tmp_path / "bad" / "1.png").unlink()
    write_worst(evaluation, tmp_path / "sheet.png", count=16)
    assert read_rgb(tmp_path / "sheet.png").shape[1] == 8 + 2 * (256 + 8)


def test_the_inputs_are_scored_beside_their_results(tmp_path):
    out = restored(tmp_path)
    evaluation = evaluated(out, metrics=("psnr", "identity"), with_input=True)
    direct = evaluated(tmp_path / "bad", metrics=("psnr",))
    assert evaluation.inputs["psnr"].mean == direct.scores.metrics["psnr"].mean < 50
    assert evaluation.scores.metrics["psnr"].mean == pytest.approx(100)
    assert evaluation.to_json()["inputs"]["psnr"]["n"] == 2
    assert "inputs" not in direct.to_json()
    (tmp_path / "bad" / "0.png").write_bytes(b"another file")
    assert evaluated(out, metrics=("psnr",), with_input=True).inputs["psnr"].n == 1
    with pytest.raises(ConfigError, match="expected results whose inputs a manifest"):
        evaluated(tmp_path / "bad", metrics=("psnr",), with_input=True)
    with pytest.raises(ConfigError, match="expected one of psnr"):
        evaluated(out, metrics=("niqe",), with_input=True)


def test_a_sheet_needs_a_figure_for_each_image(results, clean, tmp_path):
    evaluation = evaluated(results, reference=clean, metrics=("fid",))
    assert evaluation.scores.metrics["fid"].ci95 is not None
    with pytest.raises(ConfigError, match="--worst: no image has a figure of 'lpips'"):
        write_worst(evaluation, tmp_path / "w.png", count=1)


def test_a_set_has_no_fid_to_itself(clean):
    scores = evaluated(clean, reference=clean, metrics=("fid",)).scores
    assert scores.metrics["fid"].mean < 1e-3


def test_the_paper_protocol_recompresses_both_sides(results, clean):
    for path in results.rglob("*.png"):
        write_png(path, read_rgb(clean / path.relative_to(results)))
    standard, paper = (
        evaluated(results, reference=clean, metrics=("psnr",), protocol=p)
        for p in ("standard", "paper")
    )
    assert standard.scores.metrics["psnr"].mean == pytest.approx(100)
    # equal but for their chroma beside a seam of the panels
    assert 50 < paper.scores.metrics["psnr"].mean < 80


@pytest.fixture
def store(tmp_path, memory):
    """A chain in a store: clean photos, damaged ones, copies of these as a restoration."""
    folder(tmp_path / "clean")
    for path in (tmp_path / "clean").rglob("*.png"):
        memory.pipe_file(f"/a/{path.relative_to(tmp_path).as_posix()}", path.read_bytes())
    return memory


DEGRADE = ("degrade", "memory://a/clean", "-o", "memory://a/damaged", "--task", "jpeg")


def restore_in(memory, scheme="memory"):
    """Write what a restoration of the damaged photos leaves that changes nothing."""
    lines = [{"format_version": 1, "command": "restore"}]
    for name in memory.find("/a/damaged/people"):
        bytes_, key = memory.cat_file(name), name.removeprefix("/a/damaged/")
        memory.pipe_file(f"/a/out/{key}", bytes_)
        digest = hashlib.sha256(bytes_).hexdigest()
        addresses = {"input": f"{scheme}:/{name}", "output": f"memory://a/out/{key}", "key": key}
        lines.append({"status": "restored", "input_sha256": digest} | addresses)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    memory.pipe_file("/a/out/manifest.jsonl", text.encode())


def test_a_store_has_the_figures_of_a_disk(tmp_path, store, run):
    run(*DEGRADE)
    restore_in(store)
    degraded([tmp_path / "clean"], tmp_path / "damaged", task="jpeg", size=512)
    expected = evaluated(tmp_path / "damaged", metrics=("psnr", "ssim")).to_json()
    report = evaluated(Path("memory://a/out"), metrics=("psnr", "ssim"), with_input=True).to_json()
    assert report["n"] == 3
    assert report["images"] == expected["images"]
    assert report["results"] == "memory://a/out"
    assert report["inputs"]["psnr"]["mean"] == report["metrics"]["psnr"]["mean"]
    pairs = {"reference": Path("memory://a/clean"), "metrics": ("psnr",)}
    for place in ("memory://a/damaged", "memory://a/damaged/people/0.png"):
        one = place.endswith("0.png")
        if one:
            pairs["reference"] = Path("memory://a/clean/people/0.png")
        report = evaluated(Path(place), **pairs).to_json()
        assert report["n"] == (1 if one else 3)
        assert report["strays"] == report["failures"] == []
    html = tmp_path / "page.html"
    out = run("evaluate", "memory://a/damaged", "--metrics", "psnr,niqe", "--html", html)
    assert out[0] == 0
    assert html.read_text().count("data:image/jpeg;base64,") == 3
    run("evaluate", "memory://a/clean", "--save-stats", tmp_path / "s.npz", "--metrics", "fid")
    store.pipe_file("/a/s.npz", (tmp_path / "s.npz").read_bytes())
    report = evaluated(
        Path("memory://a/clean"), reference=Path("memory://a/s.npz"), metrics=("fid",)
    )
    assert report.scores.metrics["fid"].mean == pytest.approx(0, abs=1e-3)


def test_what_is_written_of_an_evaluation_may_lie_in_a_store(tmp_path, store, run):
    run(*DEGRADE)
    names = {"--csv": "x.csv", "--html": "x.html", "--json-file": "x.json", "--save-stats": "x"}
    for place in ("memory://a/new", tmp_path):
        targets = [part for flag, name in names.items() for part in (flag, f"{place}/{name}")]
        how = ("evaluate", "memory://a/damaged", "--metrics", "psnr,fid", "--worst", "1")
        status, _, said = run(*how, *targets)
        assert status == 0
        assert f"wrote {place}/x.npz, the FID statistics of memory://a/damaged" in said
        assert "wrote memory://a/damaged/worst.png, the worst by psnr" in said
    for name in ("x.csv", "x.html", "x.json"):
        assert store.cat_file(f"/a/new/{name}") == (tmp_path / name).read_bytes()
    here, there = load_statistics(tmp_path / "x.npz"), tmp_path / "there.npz"
    there.write_bytes(store.cat_file("/a/new/x.npz"))
    assert load_statistics(there).count == here.count == 3
    assert store.cat_file("/a/damaged/worst.png").startswith(b"\x89PNG")
    assert {name for name in store.find("/a/new") if "faceren" in name} == set()


def test_what_a_store_has_lost_or_replaced_is_named(store, run):
    run(*DEGRADE)
    store.rm_file("/a/damaged/people/0.png")
    store.pipe_file("/a/clean/people/1.png", store.cat_file("/a/clean/people/2.png"))
    status, _, said = run("evaluate", "memory://a/damaged", "--metrics", "psnr")
    assert status == 1
    assert "memory://a/damaged/people/0.png is in the manifest, but the file is gone" in said
    assert "memory://a/clean/people/1.png: the file has changed since it was degraded" in said
    status, _, said = run("evaluate", "memory://a/none", "--metrics", "psnr")
    assert (status, "expected a folder or an image, memory://a/none does not" in said) == (2, True)


def test_a_manifest_makes_nobody_ask_another_store(store, run, monkeypatch):
    run(*DEGRADE)
    restore_in(store, scheme="http")
    started, asked = Storage.__init__, []

    def start(self, place):
        asked.append(place.parts[0])
        started(self, place)

    monkeypatch.setattr(Storage, "__init__", start)
    report = evaluated(Path("memory://a/out"), metrics=("niqe",)).to_json()
    assert report["n"] == 3
    assert set(asked) == {"memory:"}
