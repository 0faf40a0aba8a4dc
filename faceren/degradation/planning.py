"""Decide what a run of ``degrade`` will make, before any work starts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import PIL

import faceren
from faceren.degradation.degradation import Degradation
from faceren.degradation.files import DegradeJob, DegradeSettings, Resize
from faceren.degradation.pixels import item_seed
from faceren.errors import ConfigError
from faceren.images import Found
from faceren.runs.disk_or_store import Files
from faceren.runs.manifest import MANIFEST_NAME, Line, read_manifest
from faceren.runs.plan import without_collisions
from faceren.runs.storage import spelled

COMMAND = "degrade"
"""What the header of our manifests says."""
ADVICE = "rename one, or degrade them into different folders"
"""What to do about two photos of one output."""


def library_versions() -> dict[str, str]:
    """Return the versions of what the bytes of an output depend on."""
    return {
        "faceren": faceren.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
    }


def plan_draws(
    found: Sequence[Found], target: Path, settings: DegradeSettings, copies: int
) -> list[DegradeJob]:
    """Return a job for each copy of each photo.

    Args:
        found: The clean photos.
        target: Folder of the outputs.
        settings: What to do; its seed is the run's, each job gets its own.
        copies: Outputs per photo.

    Raises:
        ConfigError: If two photos have the same place below their folders, or the same output.
    """
    _check_distinct(found)
    jobs = []
    for item in found:
        for copy in range(copies):
            number = 0 if "offline-once" in settings.compat else copy
            seed = item_seed(settings.seed, item.relative.as_posix(), number)
            name = item.relative.stem + (f"_{copy + 1}.png" if copies > 1 else ".png")
            key = item.relative.with_name(name)
            jobs.append(
                DegradeJob(
                    source=item.path,
                    output=target / key,
                    key=key.as_posix(),
                    relative=item.relative.as_posix(),
                    copy=copy,
                    settings=replace(settings, seed=seed),
                )
            )
    return without_collisions(jobs, ADVICE)


def plan_replay(
    found: Sequence[Found], target: Path, path: Path, files: Files
) -> tuple[list[DegradeJob], str]:
    """Return a job for each output that a manifest describes, and a warning.

    It says what versions differ and what lines of the manifest are damaged.

    A photo that the manifest does not know, or one of the manifest that was not found, gives a job
    that is refused, so that it is reported.

    Args:
        found: The clean photos.
        target: Folder of the outputs.
        path: The manifest of an earlier run.
        files: Reads it.

    Raises:
        ConfigError: If the file is no manifest of ``degrade``, or photos collide.
    """
    if not files.is_file(path):
        raise ConfigError(
            f"--replay {spelled(path)}: no such file; expected a {MANIFEST_NAME} of degrade"
        )
    with files.local(path) as here:
        manifest = read_manifest(here)
    if manifest.header.get("command") != COMMAND:
        raise ConfigError(
            f"--replay {spelled(path)}: expected a manifest of 'degrade', got something else"
        )
    _check_distinct(found)
    places = {item.relative.as_posix(): item for item in found}
    lines = [line for line in manifest.items.values() if line.get("degradation")]
    jobs = [_replay_job(places, target, line, path) for line in lines]
    known = {job.relative for job in jobs}
    for name, item in places.items():
        if name not in known:
            refusal = (
                f"{spelled(item.path)}: the manifest {spelled(path)} does not say what to do to it"
            )
            key = item.relative.with_suffix(".png").as_posix()
            jobs.append(DegradeJob(item.path, target / key, key, relative=name, refusal=refusal))
    then, now = manifest.header.get("libraries", {}), library_versions()
    changed = [f"{k} {then.get(k, '?')}, here {v}" for k, v in now.items() if then.get(k) != v]
    warnings = list(manifest.problems)
    if changed:
        warnings.append(f"the manifest was made with {'; '.join(changed)}: bytes may differ")
    return without_collisions(jobs, ADVICE), "; ".join(warnings)


def _replay_job(places: dict[str, Found], target: Path, line: Line, path: Path) -> DegradeJob:
    try:
        key, relative = str(line["key"]), str(line["relative"])
        item = places.get(relative)
        job = DegradeJob(
            source=item.path if item else Path(str(line["input"])),
            output=target / key,
            key=key,
            relative=relative,
            copy=int(line["copy"]),
            input_sha256=str(line["input_sha256"]),
            expected_sha256=str(line["output_sha256"]),
        )
        task, seed = str(line["task"]), int(line["seed"])
        resize, operations = line["resize"], line["degradation"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: not as degrade writes it ({error!r}): {line!r:.120}") from error
    if not job.output.resolve().is_relative_to(target.resolve()):
        raise ConfigError(f"the manifest's output {key!r} would lie outside {target}")
    if item is None:
        return replace(job, refusal=f"{relative}: in the manifest, but not among the inputs")
    try:
        known, scaling = Degradation.from_json(task, operations), Resize.from_json(resize)
    except ConfigError as error:
        return replace(job, refusal=f"{relative}: {error}")
    settings = DegradeSettings(task=task, seed=seed, degradation=known, resize=scaling)
    return replace(job, settings=settings)


def _check_distinct(found: Sequence[Found]) -> None:
    seen: dict[str, Path] = {}
    for item in found:
        other = seen.setdefault(item.relative.as_posix(), item.path)
        if other != item.path:
            raise ConfigError(
                f"{spelled(other)} and {spelled(item.path)} have the same place below their "
                f"folders; degrade them into different folders"
            )
