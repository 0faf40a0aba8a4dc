"""The paper's figures, and the files of a benchmark, made from a small run."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from faceren.bench.benchmark import load, write_outputs
from faceren.bench.output.figures import (
    SIDE,
    clean,
    figures,
    grid,
    patch_sheet,
    residual_map,
    stage_outputs,
)
from faceren.bench.output.report import Report
from faceren.bench.quality.ablation import PatchRow
from faceren.bench.quality.suite import face_set, quality_suite
from faceren.bench.request import Request, Row
from faceren.errors import ConfigError, ShapeError
from faceren.images import read_rgb, write_png
from faceren.networks.generator import build_generator
from faceren.pages.pictures import GAP, TEXT
from tests.networks.literal import randomise
from tests.networks.shapes import TINY

NAMES = ("start", "head_0", "middle_0", "ups_0", "ups_1")


def network():
    return randomise(build_generator(TINY)).eval()


def faces():
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("mode", "guided"),
    [
        ("single", [(name,) for name in NAMES]),
        ("cumulative", [NAMES[: count + 1] for count in range(5)]),
        ("without", [tuple(n for n in NAMES if n != name) for name in NAMES]),
    ],
)
def test_each_mode_guides_the_right_blocks(mode, guided):
    generator, x = network(), faces()
    stages = stage_outputs(generator, x, mode=mode, constant=0.25)
    assert [stage.guided for stage in stages] == guided
    with torch.no_grad():
        for stage in stages:
            constants = {name: 0.25 for name in NAMES if name not in stage.guided}
            whole = generator(x, constant_guidance=constants)
            assert whole.equal(stage.added if stage.passed is None else stage.passed + stage.added)
            assert not stage.added.requires_grad


@pytest.mark.parametrize("head", ["tanh", "residual", "bands"])
def test_the_last_accumulation_is_the_plain_output(head):
    generator = randomise(build_generator(replace(TINY, head=head))).eval()
    x = faces()
    last = stage_outputs(generator, x, mode="cumulative")[-1]
    with torch.no_grad():
        whole = generator(x)
    if head == "tanh":
        assert last.passed is None
        assert last.added.equal(whole)
    else:
        assert (last.passed + last.added).equal(whole)
        assert last.passed.equal(x) == (head == "residual")
    assert not last.added.equal(stage_outputs(generator, x, mode="single")[-1].added)


def test_without_any_features_nothing_of_the_input_is_left():
    generator = network()
    constants = dict.fromkeys(NAMES, 0.5)
    with torch.no_grad():
        ours, other = (
            generator.parts(x, constant_guidance=constants)[1] for x in (faces(), 1 - faces())
        )
        del constants["start"]  # which is made of the input, too
        leaking = [
            generator.parts(x, constant_guidance=constants)[1] for x in (faces(), 1 - faces())
        ]
    assert ours.equal(other)
    assert not leaking[0].equal(leaking[1])


def test_unknown_mode_is_named():
    with pytest.raises(
        ConfigError, match="mode: expected one of .*, got 'singel'; did you mean 'single'"
    ):
        stage_outputs(network(), faces(), mode="singel")


def test_residual_map_by_hand():
    damaged = torch.tensor([0.0, 1.0, 0.5, 0.2]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    restored = torch.tensor([1.0, -3.0, 0.5, 0.4]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    expected = torch.tensor([1.0, 0.0, 0.5, 0.6]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    torch.testing.assert_close(residual_map(damaged, restored), expected)
    with pytest.raises(ShapeError, match=r"got \(1, 3, 2, 2\) and \(1, 3, 2, 1\)"):
        residual_map(damaged, restored[..., :1])


@pytest.fixture
def measured(faces, tmp_path):
    request = Request(
        clean=faces,
        output=tmp_path / "b",
        suite="quality",
        tasks=("hallucination", "full"),
        metrics=("psnr",),
        size=96,
        device="cpu",
    )
    restorer = load(request)
    rows = [event for event in quality_suite(request) if isinstance(event, Row)]
    report = Report({"device": "here"}, request.to_json(), rows)
    return request, report, restorer


def test_the_figures_of_the_paper_are_made_from_the_run(measured):
    request, report, restorer = measured
    faces = face_set(request.faces)
    found = {figure.name: figure.image for figure in figures(report, faces, restorer, size=96)}
    assert list(found) == [
        "fig2_tasks",
        "fig6_hallucination",
        "fig6_full",
        "fig5a_stages",
        "fig5b_residuals",
        "fig5b_systems",
    ]
    strip = found["fig2_tasks"]
    assert strip.shape[1] == GAP + 3 * (SIDE + GAP)  # clean and two tasks
    stages = 1 + len(restorer.checkpoint.network.blocks)
    assert found["fig5a_stages"].shape[1] == GAP + (stages + 1) * (SIDE + GAP)
    systems = found["fig5b_systems"]
    assert systems.shape[1] == GAP + 4 * (SIDE + GAP)  # input, two filters, ours
    middle = SIDE // 2 + GAP
    assert np.abs(systems[-middle, middle].astype(int) - 128).max() <= 1  # the input: nothing
    assert np.ptp(systems[-SIDE:, -SIDE:]) > 20
    grid = found["fig6_full"]
    assert grid.shape[1] == GAP + 5 * (SIDE + GAP)  # input, two filters, ours, clean
    assert figures(Report({}, {}, []), faces, restorer, size=96) == []


def test_the_clean_face_has_the_size_of_its_twin(measured):
    request, report, _ = measured
    faces, row = face_set(request.faces), report.rows[0]
    for name in row.images:
        assert clean(faces, name, 96).shape == read_rgb(row.folder / name).shape == (96, 96, 3)


def test_the_outputs_are_there_and_without_matplotlib_the_page_says_so(measured, monkeypatch):
    request, report, restorer = measured
    for module in ("benchmark", "output.page"):
        monkeypatch.setattr(f"faceren.bench.{module}.can_plot", lambda: False)
    paths = write_outputs(report, request, restorer)
    assert [path.name for path in paths] == [
        f"benchmark.{suffix}" for suffix in ("json", "csv", "md", "html")
    ]
    assert all(path.stat().st_size > 100 for path in paths)
    assert (request.output / "figures" / "fig2_tasks.png").is_file()
    assert "faceren[bench]" in paths[-1].read_text(encoding="utf-8")


def test_a_grid_shows_the_middle_of_larger_faces_pixel_by_pixel(make_row, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    for folder in ("clean", "made"):
        write_png(tmp_path / folder / "0.png", image)
    row = make_row((1.0,), folder=tmp_path / "made")
    sheet = grid([row], face_set(tmp_path / "clean"), 256).image
    line = TEXT + GAP  # the headers', and that under the whole face
    below = GAP + line + SIDE + line + GAP
    for x in (GAP, GAP + SIDE + GAP):  # the method's, and the clean one
        shown = sheet[below:][:SIDE, x : x + SIDE]
        assert np.array_equal(shown, image[32:-32, 32:-32])


def test_a_sheet_of_patches_has_a_line_for_each_face_and_a_column_for_each_method(tmp_path):
    for name, level in (("enlarged", 40), ("restored", 200), ("other", 120)):
        write_png(tmp_path / f"{name}.png", np.full((512, 512, 3), level, np.uint8))
    known = {"native": 70, "niqe_input": 9.0, "niqe_restored": 4.0}
    rows = [
        PatchRow(
            method=name,
            face=face,
            enlarged=tmp_path / "enlarged.png",
            restored=tmp_path / f"{name}.png",
            **known,
        )
        for name in ("restored", "other")
        for face in (1, 2)
    ]
    sheet = patch_sheet(rows).image
    assert sheet.shape[1] == GAP + 3 * (SIDE + GAP)
    for column, level in enumerate((40, 200, 120)):
        pixels = sheet[:, GAP + column * (SIDE + GAP) + SIDE // 2, 0].tolist()
        runs = [(value, len(list(same))) for value, same in itertools.groupby(pixels)]
        assert [value for value, length in runs if length == SIDE] == [level, level]
