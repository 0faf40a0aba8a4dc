"""The page of results says where each row comes from, and its figures are the measured ones."""

import re
import shlex

import numpy as np
import pytest
import scipy.stats

from faceren.assets import shipped_models
from faceren.config import PUBLISHED_SHAPES
from faceren.training.recipe_file import load_recipe
from tests.results_page import METRICS, PAGE, parser, runs
from tests.results_text import (
    PAPER_TASKS,
    PROVENANCES,
    Measured,
    Trained,
    half_interval,
    page,
    score_table,
)

FIGURE = re.compile(r"\d+\.\d+ ± \d+\.\d+( \(\d+\))?|–")


def row(method="edsr", kind="peer", values=(20.0, 22.0, 27.0), **more):
    images = {f"{n}.png": {"psnr": value} for n, value in enumerate(values)}
    mean = {"psnr": {"mean": sum(values) / len(values)}}
    return {
        "task": "sr4x", "method": method, "kind": kind, "n": 3, "metrics": mean, "images": images
    } | more  # fmt: skip


def measured(*rows):
    facts = dict.fromkeys(("device", "threads", "dtype", "python", "torch", "faceren"), "x")
    report = {"machine": facts, "request": {"size": 256, "seed": 0, "metrics": ["psnr", "fed"]}}
    report["quality"] = list(rows)
    report["left_out"] = [{"what": "a filter", "why": "no library"}]
    done = Trained("edsr", "edsr", (), 1000, 700, 60, 240, 0.5)
    return Measured(
        command="python -m tests.results_page a --train b",
        date="2026-01-01",
        trained=[done],
        reports={"standard": report, "paper": report},
        shipped=["base"],
    )


def tables(text):
    """Return every table of a page: the heading above it, and its lines of cells."""
    found, heading = [], ""
    for line in text.splitlines():
        heading = line if line.startswith("#") else heading
        if line.startswith("|"):
            if not found or found[-1][0] != heading:
                found.append((heading, []))
            found[-1][1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_intervals_are_student_s():
    values = np.random.default_rng(0).normal(5, 2, 24)
    low, high = scipy.stats.t.interval(0.95, 23, loc=values.mean(), scale=scipy.stats.sem(values))
    assert half_interval(list(values)) == pytest.approx((high - low) / 2)


def test_a_row_has_its_figures_and_its_provenance():
    one = row(values=(20.0, 22.0, 27.0))
    table = score_table([one, row("input", "input"), row("base", "network")], measured(one))
    assert "| `edsr` | trained here | 23.00 ± 8.96 |" in table
    assert "| `input` | untouched |" in table
    assert "| `base` | ships with faceren |" in table
    assert "| `edsr` | trained here | 21.00 ± 12.71 (2) |" in score_table(
        [row(values=(20.0, 22.0))], measured(one)
    )


def test_columns_are_in_the_order_that_was_asked_for_whatever_the_first_row_has():
    faceless = row("input", "input", metrics={"fed": {"mean": 0.5}}, images={"0.png": {"fed": 0.5}})
    headers = score_table([faceless, row()], measured(row())).splitlines()[0].split("|")
    assert [header.split()[0] for header in headers if header] == [
        "method", "weights", "psnr", "fed"
    ]  # fmt: skip


def test_a_row_from_nowhere_and_a_mean_of_other_faces_are_refused():
    with pytest.raises(ValueError, match="where do the weights of stranger on sr4x come from"):
        score_table([row("stranger")], measured(row()))
    with pytest.raises(ValueError, match="edsr on sr4x: psnr is no mean of its faces"):
        score_table([row(metrics={"psnr": {"mean": 23.1}})], measured(row()))


def test_the_page_has_a_table_for_each_task_and_protocol():
    text = page(measured(row(), row("input", "input")))
    headings = [heading for heading, _ in tables(text)]
    assert headings == [
        "## What was trained here",
        "### 4× super-resolution (`sr4x`), standard, N 3",
        "### 4× super-resolution (`sr4x`), paper, N 3",
    ]
    assert "* a filter: no library" in text


def test_every_system_of_the_paper_is_trained_and_ours_on_every_task():
    recipes = [load_recipe(run.path, run.overrides) for run in runs()]
    assert {r.baseline.architecture for r in recipes if r.baseline} == set(PUBLISHED_SHAPES)
    assert [r.data.task for r in recipes if not r.baseline] == list(PAPER_TASKS)


@pytest.fixture(scope="module")
def published():
    if not PAGE.exists():
        pytest.skip("no page of results is in this checkout: python -m tests.results_page makes it")
    return PAGE.read_text(encoding="utf-8")


def test_the_published_page_names_a_command_that_is_one(published):
    command = shlex.split(re.search(r"```text\n(.*)\n```", published)[1])
    assert command[:3] == ["python", "-m", "tests.results_page"]
    asked = parser().parse_args(command[3:])
    assert f"Faces: {asked.limit}," in published
    assert f"at {asked.size} pixels" in published


def test_the_published_page_has_no_row_without_provenance(published):
    training, *scores = tables(published)
    trained = {cells[0] for cells in training[1][2:]}
    tasks = {re.search(r"`(\w+)`", heading)[1] for heading, _ in scores}
    assert trained == {f"`{run.name}`" for run in runs(tasks)}
    systems, seen = set(), set()
    assert len(scores) == 2 * len(tasks)
    for heading, (headers, _, *rows) in scores:
        assert int(heading.rpartition(" N ")[2]) == 24
        assert [header.split()[0] for header in headers] == ["method", "weights", *METRICS]
        for name, provenance, *cells in rows:
            assert provenance in PROVENANCES
            assert (provenance == "trained here") == (name in trained)
            assert provenance != "ships with faceren" or name.strip("`") in shipped_models()
            assert all(FIGURE.fullmatch(cell) for cell in cells), (heading, name, cells)
            seen |= {name} if name in trained else set()
            systems |= {name} if provenance not in ("untouched", "filter") else set()
    assert seen == trained
    assert len(systems) >= 12


def test_both_protocols_of_the_published_page_show_the_same_methods(published):
    methods = [[cells[0] for cells in rows[2:]] for _, rows in tables(published)[1:]]
    half = len(methods) // 2
    assert methods[:half] == methods[half:]
