"""``faceren restore`` from folders of an object store into another one, and the merge there.

Each photo is brought to the disk, restored there as every other one, and its output is put into
the store. No hash can tell whether an object is unchanged without reading all of it: its version
does, as the store lists it.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from faceren.commands.merge import Merged, merge
from faceren.commands.options import FolderOptions, RunOptions
from faceren.commands.restore import RestoreRun, header_of, restored
from faceren.commands.review import PagePictures
from faceren.commands.workshop import Workshop
from faceren.errors import ConfigError
from faceren.pages.review import pictures_of
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import RECORDED, PhotoResult, skipped
from faceren.runs.folder import (
    FACES_DIR,
    MASKS_DIR,
    PAGE_HEAD,
    PAGE_NAME,
    PICTURES_DIR,
    STALE_DIR,
    check_head,
)
from faceren.runs.lists import given_faces, given_marks, read_boxes, read_marks
from faceren.runs.manifest import MANIFEST_NAME, Line, Manifest, read_manifest, read_run
from faceren.runs.segments import OURS, StoredFolder, forget_segments, join, segments_in, settled
from faceren.runs.shards import RECORD_SUFFIX, parse_shard, part_of
from faceren.runs.storage import Storage, Stored
from faceren.runs.stored import Stage, StoredJob, check_stored, plan_stored

if TYPE_CHECKING:
    from faceren.restoration.pipeline import Pipeline

ON_DISK_ONLY = ("only", "keep_times")
"""What cannot be done in a store."""
BESIDE = (FACES_DIR, MASKS_DIR, PICTURES_DIR)
"""Folders beside the outputs that restoring a photo may fill."""


@dataclass(frozen=True)
class Made:
    """What became of one photo, and its line of the record."""

    result: PhotoResult
    line: Line


def restore_stored(
    inputs: Sequence[Path],
    output: Path,
    options: RestoreOptions = RestoreOptions(),
    *,
    how: RunOptions = RunOptions(),
    folder: FolderOptions = FolderOptions(),
    with_pictures: bool = False,
) -> RestoreRun:
    """Plan a restoration in an object store; iterating over ``results`` does the work.

    Args:
        inputs: Objects and folders, as ``s3://archive/scans``.
        output: A folder in a store, as ``s3://archive/restored``.
        options: What to do with each photo.
        how: With what it is done.
        folder: Which photos, and what is written beside them.
        with_pictures: Draw the review page's pictures, while photos are in memory.

    Raises:
        ConfigError: If inputs, output or options make no sense.
        NothingToDoError: If there is no image.
        MachineError: If a store, weights or device are not there, or must not be read.
    """
    check_stored(inputs, output)
    for item in fields(folder):
        if item.name in ON_DISK_ONLY and getattr(folder, item.name) != item.default:
            flag = "--" + item.name.replace("_", "-")
            raise ConfigError(f"{flag}: expected an output folder on a disk, got a store")
    shard = parse_shard(folder.shard)
    every = plan_stored(
        inputs, output, file_format=options.format, exclude=folder.exclude, suffix=folder.suffix
    )
    target = StoredFolder.opened(output, "restore", shard)
    own = [job for job in every if target.shard.has(job.key)]
    target.check_replaced(own)
    if with_pictures:
        check_stored_page(target.storage, target.there)
    boxes = [] if folder.boxes is None else read_boxes(folder.boxes)
    marks = [] if folder.repair_keep is None else read_marks(folder.repair_keep)
    given, kept = given_faces(every, boxes), given_marks(every, marks)
    workshop = Workshop(options, how, folder, given, kept)
    pipeline = workshop.pipeline()
    header = header_of(pipeline, how.model) | part_of(target.shard, every, len(own))
    there = frozenset(job.key for job in own if job.key in target.there)
    work = InStore(output, there, with_pictures)
    results = _work(own, workshop, pipeline, target, header, work)
    return RestoreRun(
        len(own), shipped_samples=False, results=results, problems=tuple(target.recorded.problems)
    )


def _work(
    jobs: Sequence[StoredJob],
    workshop: Workshop,
    pipeline: "Pipeline",
    target: StoredFolder,
    header: Line,
    work: "InStore",
) -> Iterator[PhotoResult]:
    """Restore what is not done yet, and record it."""
    todo, folder = [], workshop.folder
    for job in jobs:
        line = target.done_before(job, job.found.item, pipeline.settings(job))
        status = line and line.get("status")
        again = folder.overwrite or (status == "failed" and folder.retry_failed)
        if line is not None and status in RECORDED and not again:
            yield skipped(job, line)
        elif folder.dry_run:
            yield PhotoResult(source=job.source, output=job.output, key=job.key, status="planned")
        else:
            todo.append(job)
    if folder.dry_run or not (todo or folder.shard or target.is_begun):
        return
    with target.record([job.key for job in todo], header) as writer:
        for made in restored(todo, workshop, pipeline, work, None):
            writer.append(made.line)
            yield made.result
    if not folder.shard:
        merge_stored(Path(target.storage.url), "restore")


@dataclass(frozen=True)
class InStore:
    """Restores photos of a store; here, or on a node of a cluster."""

    output: Path
    there: frozenset[str]
    """Keys of outputs of earlier runs."""
    with_pictures: bool
    """For the review page."""

    def __call__(self, pipeline: "Pipeline", jobs: Sequence[StoredJob]) -> Iterator[Made]:
        """Yield what became of each photo, in order, once it is in the store.

        Raises:
            MachineError: If the store takes no more, or the disk is full.
        """
        target, found = Storage(self.output), {job.source: job.found for job in jobs}
        by_key = {job.key: job for job in jobs}
        with Stage() as stage:
            if self.with_pictures:
                pipeline = replace(pipeline, watcher=PagePictures(pictures_of(stage.output)))
            for result in pipeline.run(stage.staged(jobs, found)):
                yield self._stored(result, by_key[result.key], stage, target)

    def _stored(self, result: PhotoResult, job: StoredJob, stage: Stage, target: Storage) -> Made:
        """Put what was made of a photo into the store, and return what to say of it."""
        versions, reason = {"input": job.found.item.version}, stage.told(job, result.reason)
        if result.status != "failed":
            versions["output"] = stage.put(job, target, BESIDE)
        elif job.key in self.there:
            target.move(job.key, f"{STALE_DIR}/{job.key}")
            place = f"{target.url}/{STALE_DIR}/{job.key}"
            reason += f"; the output of an earlier run was moved to {place}"
        warnings = tuple(stage.told(job, text) for text in result.warnings)
        stage.clear(job)
        result = replace(
            result, source=job.source, output=job.output, reason=reason, warnings=warnings
        )
        return Made(result, result.to_json() | {"stored": versions})


def check_stored_page(storage: Storage, there: Mapping[str, Stored]) -> None:
    """Raise ConfigError if the place of the review page holds a page that is not ours.

    Args:
        storage: The output folder.
        there: Its objects.
    """
    if page := there.get(PAGE_NAME):
        end = min(PAGE_HEAD, PAGE_HEAD if page.size is None else page.size)
        check_head(f"{storage.url}/{PAGE_NAME}", storage.read(page, end=end) if end else b"")


@contextmanager
def copied_record(storage: Storage, there: Mapping[str, Stored], folder: Path) -> Iterator[None]:
    """Have the record of a folder in a store on the disk.

    Errors of the block name the folder in the store.

    Args:
        storage: The folder.
        there: Its objects.
        folder: Where the record is copied to.

    Raises:
        MachineError: If the store cannot be read.
    """
    for shard, keys in segments_in(there).items():
        join(storage, (there[key] for key in keys), shard.place(folder, RECORD_SUFFIX))
    if MANIFEST_NAME in there:
        join(storage, [there[MANIFEST_NAME]], folder / MANIFEST_NAME)
    try:
        yield
    except ConfigError as error:
        raise ConfigError(str(error).replace(str(folder), storage.url)) from error


def stored_run(storage: Storage, there: Mapping[str, Stored]) -> Manifest:
    """Return the record of a restoration into a folder of a store; see ``read_run``.

    Args:
        storage: The folder.
        there: Its objects.

    Raises:
        ConfigError: If there is none, or parts of a run are not merged.
        MachineError: If the store cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        folder = Path(name)
        with copied_record(storage, there, folder):
            manifest = read_run(folder, "restore")
    manifest.problems = [text.replace(str(folder), storage.url) for text in manifest.problems]
    return manifest


def merge_stored(output: Path, command: str) -> Merged:
    """Join the records of all parts of a run into a store, as ``merge`` does on a disk.

    The new record is in its place before the old ones are deleted.

    Args:
        output: The folder of the parts.
        command: What they are parts of.

    Raises:
        ConfigError: As ``merge``.
        MachineError: If the store cannot be read or written.
    """
    target = Storage(output)
    there, joined = settled(target)
    if joined and not segments_in(there):  # it was interrupted when all but that was done
        return _merged_before(target, there, joined)
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        folder = Path(name)
        with copied_record(target, there, folder):
            merged = merge([folder], command=command)
        target.put(folder / MANIFEST_NAME, MANIFEST_NAME)
    forget_segments(target, [key for key in there if key.startswith(OURS)])
    problems = tuple(text.replace(str(folder), target.url) for text in merged.problems)
    return replace(merged, output=output, problems=problems)


def _merged_before(target: Storage, there: Mapping[str, Stored], joined: Sequence[str]) -> Merged:
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        path = Path(name) / MANIFEST_NAME
        join(target, [there[MANIFEST_NAME]] if MANIFEST_NAME in there else [], path)
        items = read_manifest(path).items
    statuses = Counter(str(line.get("status")) for line in items.values())
    return Merged(Path(target.url), len(segments_in(joined)), statuses, ())
