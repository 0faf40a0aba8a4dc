"""The suite of quality: its rows, that it goes on where it stopped, and that it repeats itself."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from faceren.assets import DEFAULT_MODEL
from faceren.bench.quality import suite as module
from faceren.bench.quality.suite import Quality, candidates, face_set, quality_suite
from faceren.bench.request import LeftOut, Quoted, Row
from faceren.commands.evaluate import Scored
from faceren.degradation import resize
from faceren.errors import ConfigError, FaceError, MachineError, NothingToDoError
from faceren.images import find_images, read_rgb


def rows_of(request):
    return (event for event in quality_suite(request) if isinstance(event, Row))


def test_every_scored_image_is_said_before_the_row_of_its_method(request_for):
    events = list(quality_suite(request_for()))
    first = [Scored(1, 2), Scored(2, 2)]
    assert events[:2] == events[3:5] == first
    assert [events[place].method for place in (2, 5)] == ["input", "nlm"]
    again = [event for event in quality_suite(request_for()) if isinstance(event, Scored)]
    assert again == []  # the rows are kept


def test_every_method_is_scored_on_the_same_faces(request_for):
    rows = list(rows_of(request_for()))
    measured = [row for row in rows if isinstance(row, Quality)]
    assert [row.method for row in measured] == ["input", "nlm", "wavelet", DEFAULT_MODEL]
    assert {row.n for row in measured} == {2}
    assert {tuple(row.images) for row in measured} == {("a.png", "more/b.png")}
    figures = {row.method: row.metrics["psnr"].mean for row in measured}
    assert figures["wavelet"] > figures["input"] + 3
    assert measured[0].ms is None
    assert all(row.ms > 0 for row in measured[1:])
    assert not [row for row in rows if isinstance(row, Quoted)]
    assert [row.why for row in rows if isinstance(row, LeftOut)] == [
        "they were measured by the paper's protocol: give --protocol paper"
    ]


def test_the_paper_is_quoted_beside_figures_of_its_own_protocol_alone(request_for):
    ours, *_, last = rows_of(request_for(protocol="paper", limit=1))
    assert isinstance(last, Quoted)
    assert last.method == "HiFaceGAN"
    standard = next(rows_of(request_for(limit=1)))
    assert ours.metrics["psnr"].by != standard.metrics["psnr"].by
    # its JPEG halves the chroma, which averages noise away
    assert ours.metrics["psnr"].mean > standard.metrics["psnr"].mean


@pytest.fixture
def elsewhere(request_for, tmp_path):
    """A folder of what another program made of the degraded faces: their negatives, as TIFF."""
    damaged = next(rows_of(request_for())).folder
    for found in find_images([damaged]):
        place = tmp_path / "theirs" / "denoise" / found.relative.with_suffix(".tif")
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - read_rgb(found.path)).save(place)
    return tmp_path / "theirs"


def test_results_of_another_program_are_scored_like_any_method(request_for, elsewhere, faces):
    rows = list(rows_of(request_for(results=(f"negative={elsewhere}",))))
    row = next(row for row in rows if isinstance(row, Quality) and row.method == "negative")
    damaged = next(path for path in rows[0].folder.glob("a.png"))
    clean = resize(read_rgb(faces / "a.png"), height=64, width=64, by="area").astype(float)
    error = np.mean((255.0 - read_rgb(damaged) - clean) ** 2)
    assert row.images["a.png"]["psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.3)
    assert (row.n, row.kind, row.ms) == (2, "peer", None)
    # one task: the folder itself will do, and what an earlier run has kept stays
    again = rows_of(request_for(results=(f"negative={elsewhere / 'denoise'}",)))
    assert row.metrics in [r.metrics for r in again if isinstance(r, Quality)]


def test_changed_results_are_scored_anew(request_for, elsewhere):
    asked = request_for(results=(f"x={elsewhere}",))
    before = next(r for r in rows_of(asked) if getattr(r, "method", "") == "x")
    Image.new("RGB", (64, 64)).save(elsewhere / "denoise" / "a.tif")
    after = next(r for r in rows_of(asked) if getattr(r, "method", "") == "x")
    assert before.images["a.png"] != after.images["a.png"]
    assert before.images["more/b.png"] == after.images["more/b.png"]


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda f: (f / "more" / "b.tif").unlink(), "each of the 2 degraded faces, 1 missing: mor"),
        (lambda f: Image.new("RGB", (32, 64)).save(f / "a.tif"), "expected 64x64 .*, got 32x64"),
        (lambda f: (f / "a.tif").write_bytes(b"no photo"), "a.tif"),
    ],
)
def test_results_that_do_not_fit_are_named_and_the_other_rows_go_on(
    request_for, elsewhere, harm, why
):
    harm(elsewhere / "denoise")
    rows = list(rows_of(request_for(results=(f"x={elsewhere}",))))
    (failed,) = [row for row in rows if isinstance(row, LeftOut) and row.failed]
    assert failed.what == "x on denoise"
    assert re.search(why, failed.why)
    assert [row.method for row in rows if isinstance(row, Quality)][-1] == DEFAULT_MODEL


def test_a_result_too_many_is_named(request_for, elsewhere):
    Image.new("RGB", (64, 64)).save(elsewhere / "denoise" / "zebra.png")
    rows = list(rows_of(request_for(results=(f"x={elsewhere}",))))
    line = next(row.line() for row in rows if isinstance(row, LeftOut))
    assert line.startswith("left out: some results of x on denoise, 1 in all (no degraded face")
    assert line.endswith(": zebra.png)")
    assert [row.n for row in rows if isinstance(row, Quality) and row.method == "x"] == [2]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("theirs", "expected NAME=FOLDER"),
        ("=theirs", "a name fit for a folder"),
        ("a/b=theirs", "a name fit for a folder"),
        ("x=nowhere", "there is no folder nowhere"),
        ("input=theirs", "'input' is there twice"),
        ("nlm=theirs", "'nlm' is there twice"),
    ],
)
def test_results_are_checked_before_the_work(request_for, given, message, elsewhere, monkeypatch):
    monkeypatch.chdir(elsewhere.parent)
    with pytest.raises(ConfigError, match=message):
        candidates(request_for(results=(given,)))
    with pytest.raises(ConfigError, match="expected a folder for each task in it"):
        candidates(request_for(results=("x=theirs",), tasks=("jpeg", "deblur")))


def test_a_second_run_reuses_the_rows_and_a_third_repeats_the_figures(
    request_for, monkeypatch, tmp_path
):
    def table(request):
        return [row.to_json() for row in rows_of(request) if isinstance(row, Quality)]

    first = table(request_for())
    scored = module.evaluate
    monkeypatch.setattr(module, "evaluate", lambda *_, **__: pytest.fail("scored again"))
    assert table(request_for()) == first
    with pytest.raises(pytest.fail.Exception):
        table(request_for(overwrite=True))
    monkeypatch.setattr(module, "evaluate", scored)
    again = table(request_for(output=tmp_path / "other"))
    for old, new in zip(first, again, strict=True):
        assert (old["metrics"], old["images"]) == (new["metrics"], new["images"])


def test_an_interrupted_run_keeps_its_finished_rows(request_for, monkeypatch):
    scored, calls = module.evaluate, []

    def interrupted(*arguments, **options):
        calls.append(arguments[0])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return scored(*arguments, **options)

    monkeypatch.setattr(module, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(rows_of(request_for()))
    list(rows_of(request_for()))
    names = [folder.name for folder in calls]
    assert names == ["input", "nlm", "wavelet", "wavelet", DEFAULT_MODEL]


def test_another_seed_or_metric_is_measured_anew(request_for, monkeypatch):
    list(rows_of(request_for()))
    counted, scored = [], module.evaluate
    monkeypatch.setattr(module, "evaluate", lambda *a, **k: counted.append(1) or scored(*a, **k))
    list(rows_of(request_for(metrics=("psnr", "ssim"))))
    list(rows_of(request_for(seed=1)))
    assert len(counted) == 8


def test_other_faces_never_mix(request_for, faces):
    list(rows_of(request_for()))
    (faces / "more" / "b.png").unlink()
    (row, *_) = rows_of(request_for())
    assert row.n == 1


def test_a_limit_takes_the_first_faces_with_the_same_damage(request_for):
    whole = next(rows_of(request_for()))
    part = next(rows_of(request_for(limit=1)))
    assert part.images == {"a.png": whole.images["a.png"]}


def test_a_method_that_fails_is_left_out_and_the_others_go_on(request_for, monkeypatch):
    def fail(self, damaged, output, *, overwrite):
        raise FaceError("too large")

    monkeypatch.setattr("faceren.bench.quality.methods.Filter.renew", fail)
    rows = list(rows_of(request_for()))
    failed = [row for row in rows if isinstance(row, LeftOut) and row.failed]
    assert [row.what for row in failed] == ["nlm on denoise", "wavelet on denoise"]
    assert all(row.why == "too large" for row in failed)
    assert [row.method for row in rows if isinstance(row, Quality)] == ["input", DEFAULT_MODEL]


def test_too_few_images_for_fid_are_a_warning(request_for):
    request = request_for(limit=1, tasks=("jpeg",), metrics=("psnr", "fid"))
    row = next(rows_of(request))
    assert "fid" not in row.metrics
    assert any(text.startswith("fid: expected at least two images") for text in row.warnings)


def test_bad_requests_are_found_before_the_work(request_for, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToDoError, match="no image found"):
        list(rows_of(request_for(clean=tmp_path / "empty")))
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(MachineError, match="cannot be read"):
        list(rows_of(request_for(models=(str(tmp_path / "broken.pth"),))))
    assert not (tmp_path / "b").exists()


def test_models_may_be_for_one_task_and_need_names_of_their_own(request_for, tmp_path):
    from faceren.assets import model_path

    other = tmp_path / "mine.safetensors"
    other.write_bytes(model_path("compact").read_bytes())
    found = candidates(request_for(models=(f"jpeg={other}",)))
    assert [(c.method.name, c.task) for c in found] == [(DEFAULT_MODEL, ""), ("mine", "jpeg")]
    rows = rows_of(request_for(models=(f"jpeg={other}",)))
    assert "mine" not in [row.method for row in rows if isinstance(row, Quality)]
    with pytest.raises(ConfigError, match="there twice"):
        candidates(request_for(models=(str(other), f"denoise={other}")))
    with pytest.raises(ConfigError, match="TASK=FILE"):
        candidates(request_for(models=(f"jpg={other}",)))


def test_a_run_folder_named_after_a_task_takes_part_in_it(request_for, tmp_path, monkeypatch):
    from faceren.assets import model_path

    monkeypatch.chdir(tmp_path)
    best = tmp_path / "runs" / "denoise" / "best.safetensors"
    best.parent.mkdir(parents=True)
    best.write_bytes(model_path("compact").read_bytes())
    found = candidates(request_for())
    assert [(c.method.name, c.task) for c in found] == [
        (DEFAULT_MODEL, ""),
        ("denoise-run", "denoise"),
    ]


def test_a_kept_row_is_plain_json(request_for, tmp_path):
    next(rows_of(request_for()))
    (path,) = (tmp_path / "b" / "rows").glob("*.json")
    row = json.loads(path.read_text())
    assert row["metrics"]["psnr"]["mean"] == pytest.approx(
        sum(values["psnr"] for values in row["images"].values()) / 2
    )
    assert row["folder"].startswith(str(tmp_path / "b" / "pictures"))
    assert row["folder"].endswith("/denoise_64/input")
    assert (row["ms"], row["warnings"], row["n"]) == (None, [], 2)


def test_a_row_survives_json(make_row):
    row = make_row([20.0, 22.0], ms=3.5, warnings=("mind",))
    assert Quality.from_json(json.loads(json.dumps(row.to_json()))) == row
    alone = make_row([20.0])
    assert Quality.from_json(json.loads(json.dumps(alone.to_json()))) == alone


def test_a_face_set_is_known_by_names_and_bytes(faces):
    found = face_set(faces)
    assert [item.relative.as_posix() for item in found.found] == ["a.png", "more/b.png"]
    assert found.digest == face_set(faces).digest
    assert len(face_set(faces, 1)) == 1
    assert face_set(faces, 1).digest != found.digest
    (faces / "a.png").rename(faces / "c.png")
    assert face_set(faces).digest != found.digest
    assert face_set(faces).names(1) == ["c.png"]


def test_no_faces_are_said(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        face_set(tmp_path / "gone")
    with pytest.raises(NothingToDoError, match="no image found"):
        face_set(tmp_path)
