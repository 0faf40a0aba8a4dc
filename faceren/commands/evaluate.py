"""Evaluate a folder of results: find the references, score each pair, sum up."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from faceren.arrays import Rgb8
from faceren.commands.options import EvaluateOptions
from faceren.degradation.files import Resize
from faceren.errors import (
    ConfigError,
    FacerenError,
    ImageError,
    MachineError,
    NothingToDoError,
    unforeseen,
)
from faceren.files import sha256_of
from faceren.images import DEFAULT_MAX_PIXELS, read_rgb, shown
from faceren.inference import pick_device
from faceren.metrics.inception import FeatureStatistics, load_statistics, save_statistics
from faceren.metrics.names import PAIRED, PAPER_METRICS, SETS, parse_metrics
from faceren.metrics.pairing import Pairing, is_recorded, pair_up
from faceren.metrics.results import Evaluation, ImageScores, MetricResult
from faceren.metrics.scoring import Scorer
from faceren.runs.disk_or_store import Files, written
from faceren.runs.storage import spelled


@dataclass(frozen=True)
class Scored:
    """One more image is scored, or could not be."""

    done: int
    total: int


@dataclass(frozen=True)
class _Plan:
    """What is to be done, checked."""

    pairing: Pairing
    files: Files
    """Reads them."""
    metrics: tuple[str, ...]
    others: tuple[Path, ...] = ()
    """Images that FID compares with as a set, not in pairs."""
    statistics: FeatureStatistics | None = None
    """What FID compares with if it was saved before."""


def evaluate(
    results: Path, options: EvaluateOptions = EvaluateOptions()
) -> Iterator[Scored | Evaluation]:
    """Score results against their references.

    The references are found in ``options.reference``, else through the manifests of ``restore``
    and ``degrade``. A file that cannot be scored is named in ``failures`` and counts in no figure.

    Args:
        results: Folder that ``restore`` or ``degrade`` wrote (what its manifest names is scored),
            any other folder of images, or one image; on a disk or in an object store.
        options: What to compare with, and by which metrics.

    Yields:
        ``Scored`` after each image, at last the ``Evaluation``.

    Raises:
        ConfigError: If an option makes no sense, or a metric needs references that are not there.
        NothingToDoError: If there is no result, or no pair.
        MachineError: If weights, a library or the device are missing.
    """
    place = pick_device(options.device)
    plan = _plan(results, options)
    rows = inputs_of(plan) if options.with_input else []
    failures = list(plan.pairing.failures)
    todo: list[ImageScores | Path] = [*plan.pairing.rows[: options.limit], *plan.others]
    with Scorer(plan.metrics, options.protocol, place) as scorer:
        for done, item in enumerate(todo, start=1):
            try:
                _score(scorer, item, options.max_pixels or DEFAULT_MAX_PIXELS, plan.files)
            except MachineError:
                raise
            except Exception as error:
                known = error if isinstance(error, FacerenError) else unforeseen(error)
                name = item.path if isinstance(item, ImageScores) else spelled(item)
                failures.append((name, str(known)))
            yield Scored(done, len(todo))
        scores = scorer.finish(plan.statistics)
        if not scores.images:
            where = spelled(results)
            raise NothingToDoError(f"no result in {where} could be scored; {failures[0][1]}")
        if options.save_stats is not None:
            with written(options.save_stats.with_suffix(".npz")) as target:
                save_statistics(target, scorer.our_statistics())
            if plan.pairing.source is None:
                scores = replace(scores, not_computed={})  # nothing but the file was asked for
    inputs = (yield from _inputs_scored(rows, plan, options, place)) if rows else {}
    yield Evaluation(
        inputs=inputs,
        protocol=options.protocol,
        results=results,
        reference=plan.pairing.source,
        scores=scores,
        strays=plan.pairing.strays,
        failures=tuple(failures),
    )


def _inputs_scored(
    rows: Sequence[ImageScores], plan: _Plan, options: EvaluateOptions, place: Any
) -> Generator[Scored, None, dict[str, MetricResult]]:
    names = tuple(name for name in plan.metrics if name in PAIRED)
    with Scorer(names, options.protocol, place) as scorer:
        for done, row in enumerate(rows, start=1):
            with suppress(ImageError):  # of another size, say: its result counts alone
                _score(scorer, row, options.max_pixels or DEFAULT_MAX_PIXELS, plan.files)
            yield Scored(done, len(rows))
        return scorer.finish().metrics


def inputs_of(plan: _Plan) -> list[ImageScores]:
    """Return what the results were restored from, as if it were the results.

    Raises:
        ConfigError: If no manifest names any, or no metric compares pairs.
    """
    if not set(plan.metrics) & set(PAIRED):
        raise ConfigError(f"--with-input: expected one of {', '.join(PAIRED)} among --metrics")
    rows = [
        replace(row, result=before, values={}, failures={})
        for row in plan.pairing.rows
        if (before := _restored_from(row, plan.files)) is not None
    ]
    if not rows:
        raise ConfigError(
            "--with-input: expected results whose inputs a manifest of restore names, got none"
        )
    return rows


def _plan(results: Path, options: EvaluateOptions) -> _Plan:
    names = parse_metrics(options.metrics) if options.metrics else None
    reference, save = options.reference, options.save_stats is not None
    files = Files([path for path in (results, reference) if path is not None])
    a_set = bool(names) and not set(PAIRED) & set(names or ())
    if reference is not None and reference.suffix == ".npz":
        pairing = replace(pair_up(results, None, files), source=spelled(reference))
        with files.local(reference) as here:
            plan = _Plan(pairing, files, (), statistics=load_statistics(here))
    elif reference is not None and a_set and files.is_folder(reference):
        pairing = pair_up(results, None, files)  # its references are not what is compared with
        rows = tuple(replace(row, reference=None) for row in pairing.rows)
        pairing = replace(pairing, rows=rows, strays=(), source=spelled(reference))
        others = tuple(found.path for found in files.images(reference))
        plan = _Plan(pairing, files, (), others)
    else:
        plan = _Plan(pair_up(results, reference, files), files, ())
    paired = any(row.reference is not None for row in plan.pairing.rows)
    if names is None and paired:
        names = PAPER_METRICS
    elif names is None:
        identity = any(row.identity is not None for row in plan.pairing.rows)
        compared = plan.statistics is not None
        names = ("fid",) * compared + ("niqe",) + ("identity",) * identity
    if save and not set(SETS) & set(names):
        names = (*names, "fid")
    # said now if a metric will have nothing to compare with
    lacking = [name for name in names if name in PAIRED and not paired]
    sets = paired or plan.others or plan.statistics is not None or save
    lacking += [name for name in names if name in SETS and not sets]
    if lacking:
        raise ConfigError(
            f"--metrics {','.join(lacking)}: expected references, but the manifests lead to none; "
            f"give --reference FOLDER (fid also takes saved statistics, FILE.npz), or ask for niqe"
        )
    return replace(plan, metrics=names)


def _score(scorer: Scorer, item: ImageScores | Path, max_pixels: int, files: Files) -> None:
    def read(path: Path) -> Rgb8:
        with files.local(path) as here:
            return read_rgb(here, max_pixels=max_pixels)

    if isinstance(item, Path):
        scorer.add_reference(read(item))
        return
    result = read(item.result)
    before = _restored_from(item, files) if scorer.protocol == "paper" else None
    damaged = None if before is None else read(before)
    scorer.add(item, result, _reference(item, result.shape, max_pixels, files), damaged)


def _restored_from(row: ImageScores, files: Files) -> Path | None:
    """Return what a result was restored from, if a manifest names it and it is the same still."""
    named = row.input is not None and row.reference not in (None, row.input)
    return row.input if named and is_recorded(row, files) else None


def _reference(
    row: ImageScores, shape: tuple[int, ...], max_pixels: int, files: Files
) -> Rgb8 | None:
    """Return the reference at the size it had when it was degraded."""
    if row.reference is None:
        return None
    with files.local(row.reference) as here:
        rgb = read_rgb(here, max_pixels=max_pixels)
        if row.reference_sha256 and sha256_of(here) != row.reference_sha256:
            raise ImageError(
                f"{shown(here)}: the file has changed since it was degraded; "
                f"degrade it anew, or give --reference"
            )
    resize = Resize.from_json(row.resize)
    return rgb if resize is None or rgb.shape == shape else resize(rgb)
