"""What an earlier run has left in the output folder: skip what is done, set aside what is stale."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

from faceren.errors import MachineError
from faceren.files import sha256_of
from faceren.manifest import Manifest
from faceren.restoration.plan import Job
from faceren.restoration.results import PhotoResult

STALE_DIR = ".stale"
"""Folder below the output folder for outputs of earlier runs that no longer are current."""


def unchanged(
    job: Job, manifest: Manifest, settings: str, *, retry_failed: bool
) -> PhotoResult | None:
    """Return a ``skipped`` result if an earlier run has done this very job, else None.

    Done means: the same bytes in, the same settings (unless the photo was chosen by name to have
    others), and the output still as it was written.
    """
    line = manifest.items.get(job.key)
    if line is None or (line.get("settings") != settings and not line.get("chosen")):
        return None
    failed = line["status"] == "failed"
    if failed and retry_failed:
        return None
    try:
        if sha256_of(job.source) != line["input_sha256"]:
            return None
        if not failed and sha256_of(job.output) != line["output_sha256"]:
            return None
    except OSError:
        return None
    return PhotoResult(
        source=job.source,
        output=job.output,
        key=job.key,
        status="skipped",
        previous=line["status"],
        reason=line.get("reason", ""),
        input_sha256=line["input_sha256"],
        output_sha256=line.get("output_sha256") or "",
        settings=settings,
    )


def without_stale_output(result: PhotoResult, output: Path) -> PhotoResult:
    """Return the result; if it failed, move what an earlier run wrote in its place out of the way.

    Left where it was, it would pass for the result of this run. It is moved, in one step, to
    ``OUT/.stale`` under its own name, and the result's reason says so.

    Args:
        result: Of this run.
        output: The run's output folder.

    Raises:
        MachineError: If the file cannot be moved.
    """
    if result.status != "failed" or not result.output.is_file():
        return result
    place = output / STALE_DIR / PurePosixPath(result.key)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        result.output.replace(place)
    except OSError as error:
        raise MachineError(
            f"{result.output} is of an earlier run and cannot be moved to {place} "
            f"({error.strerror})"
        ) from error
    note = f"the output of an earlier run was moved to {place}"
    return replace(result, reason=f"{result.reason}; {note}")
