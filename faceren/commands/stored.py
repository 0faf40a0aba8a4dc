"""``faceren restore`` from folders of an object store into another one, and the merge there.

Each photo is brought to the disk, restored there as every other one, and its output is put into
the store. No hash can tell whether an object is unchanged without reading all of it: its version
does, as the store lists it.
"""

import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from faceren.checks import Json
from faceren.commands.merge import Merged, merge
from faceren.commands.options import FolderOptions, RunOptions
from faceren.commands.restore import RestoreRun, header_of
from faceren.commands.workshop import Workshop
from faceren.errors import ConfigError, FacerenError
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import RECORDED, PhotoResult, skipped
from faceren.runs.folder import FACES_DIR, MASKS_DIR, STALE_DIR
from faceren.runs.lists import given_faces, given_marks, read_boxes, read_marks
from faceren.runs.manifest import MANIFEST_NAME, Line, Manifest
from faceren.runs.plan import Job
from faceren.runs.segments import (
    SegmentWriter,
    check_parts,
    join,
    planned_keys,
    planned_name,
    read_part,
    segments_in,
)
from faceren.runs.shards import (
    RECORD_SUFFIX,
    SHARDS_DIR,
    Shard,
    listing_digest,
    parse_shard,
)
from faceren.runs.storage import UPLOADS_DIR, Storage, Stored, is_stored, spelled
from faceren.runs.stored_plan import StoredJob, plan_stored

if TYPE_CHECKING:
    from faceren.restoration.pipeline import Pipeline

AHEAD = 8
"""Photos that are brought to the disk before their turn."""
THREADS = 4
ON_DISK_ONLY = ("only", "keep_times")
"""What cannot be done in a store."""


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
) -> RestoreRun:
    """Plan a restoration in an object store; iterating over ``results`` does the work.

    Args:
        inputs: Objects and folders, as ``s3://archive/scans``.
        output: A folder in a store, as ``s3://archive/restored``.
        options: What to do with each photo.
        how: With what it is done.
        folder: Which photos, and what is written beside them.

    Raises:
        ConfigError: If inputs, output or options make no sense.
        NothingToDoError: If there is no image.
        MachineError: If a store, weights or device are not there, or must not be read.
    """
    _check(inputs, output, folder)
    shard = parse_shard(folder.shard) or Shard(0, 1)
    target = Storage(output)
    every = plan_stored(
        inputs, output, file_format=options.format, exclude=folder.exclude, suffix=folder.suffix
    )
    there = target.listing()
    check_parts(target, there, shard)
    recorded = read_part(target, there, shard)
    own = [job for job in every if shard.has(job.key)]
    planned = planned_keys(target, there, shard)
    for key in {job.key for job in own} & (there.keys() - planned - recorded.items.keys()):
        raise ConfigError(
            f"{target.url}/{key} is there already, and no earlier run wrote it; move it away or "
            f"choose another folder"
        )
    boxes = [] if folder.boxes is None else read_boxes(folder.boxes)
    marks = [] if folder.repair_keep is None else read_marks(folder.repair_keep)
    given, kept = given_faces(every, boxes), given_marks(every, marks)
    workshop = Workshop(options, how, folder, given, kept)
    pipeline = workshop.pipeline()
    part: Json = {"index": shard.index, "count": shard.count, "photos": len(own)}
    part |= {"listing": listing_digest([job.key for job in every]), "ended": False}
    header = header_of(pipeline, how.model) | {"shard": part}
    run = _Run(target, there, shard, recorded, planned, header)
    results = run.work(own, workshop, pipeline)
    return RestoreRun(
        len(own), shipped_samples=False, results=results, problems=tuple(recorded.problems)
    )


def _check(inputs: Sequence[Path], output: Path, folder: FolderOptions) -> None:
    """Refuse what a store cannot do.

    Raises:
        ConfigError: If a place is on the disk, the output lies in an input, or an option asks for
            what only a disk can.
    """
    for path in (*inputs, output):
        if not is_stored(path):
            raise ConfigError(
                f"{path}: expected all inputs and -o in object stores, this one is on the disk; "
                f"copy it there, or the others here"
            )
    if not inputs:
        raise ConfigError("no input given: name photos or folders")
    for path in inputs:
        if output == path or output.is_relative_to(path) or path.is_relative_to(output):
            raise ConfigError(
                f"-o {spelled(output)} and the input {spelled(path)} lie in one another; originals "
                f"are never written to, choose another folder"
            )
    for item in fields(folder):
        if item.name in ON_DISK_ONLY and getattr(folder, item.name) != item.default:
            flag = "--" + item.name.replace("_", "-")
            raise ConfigError(f"{flag}: expected an output folder on a disk, got a store")


@dataclass(frozen=True)
class _Run:
    """A run into a store."""

    target: Storage
    there: dict[str, Stored]
    """What lies there at the start."""
    shard: Shard
    recorded: Manifest
    planned: set[str]
    """What earlier runs were going to write."""
    header: Json

    def work(
        self, jobs: Sequence[StoredJob], workshop: Workshop, pipeline: "Pipeline"
    ) -> Iterator[PhotoResult]:
        """Restore what is not done yet, and record it."""
        todo, folder = [], workshop.folder
        for job in jobs:
            done = None if folder.overwrite else self.done_before(job, pipeline, folder)
            if done is not None:
                yield done
            elif folder.dry_run:
                yield PhotoResult(
                    source=job.source, output=job.output, key=job.key, status="planned"
                )
            else:
                todo.append(job)
        if folder.dry_run or not (todo or folder.shard or segments_in(self.there)):
            return
        keys = sorted(self.planned | {job.key for job in todo})
        self.target.write(json.dumps(keys).encode(), planned_name(self.shard))
        with SegmentWriter(self.target, self.there, self.shard, self.header) as writer:
            for made in self.restored(todo, workshop, pipeline):
                writer.append(made.line)
                yield made.result
            part = {**self.header["shard"], "ended": True}
            writer.flush({**self.header, "shard": part})
        self.target.remove([planned_name(self.shard)])
        if not folder.shard:
            merge_stored(Path(self.target.url))

    def restored(
        self, jobs: Sequence[StoredJob], workshop: Workshop, pipeline: "Pipeline"
    ) -> Iterator[Made]:
        """Restore photos here or on the nodes of a cluster; yield one result each, in order."""
        there = {job.key for job in jobs if job.key in self.there}
        if workshop.how.cluster == "off":
            yield from restored_in_store(jobs, pipeline, self.target, there)
        else:
            from faceren.commands.cluster import restored_on_ray

            work = InStore(Path(self.target.url), there)
            yield from restored_on_ray(jobs, workshop, pipeline, work, None)

    def done_before(
        self, job: StoredJob, pipeline: "Pipeline", folder: FolderOptions
    ) -> PhotoResult | None:
        """Return a ``skipped`` result if an earlier run has done this very job, else None."""
        line = self.recorded.items.get(job.key)
        if line is None or line.get("settings") != pipeline.settings(job):
            return None
        versions, previous = line.get("stored") or {}, line.get("status")
        if versions.get("input") != job.item.version or previous not in RECORDED:
            return None
        if previous == "failed":
            if folder.retry_failed or not line.get("input_sha256"):
                return None
        elif job.key not in self.there or self.there[job.key].version != versions.get("output"):
            return None
        return skipped(job, line)


@dataclass(frozen=True)
class InStore:
    """Restores some photos of a store, on a node of a cluster."""

    output: Path
    there: set[str]
    """Keys of outputs of earlier runs."""

    def __call__(self, pipeline: "Pipeline", jobs: Sequence[StoredJob]) -> list[Made]:
        """Return what became of each photo, in order."""
        return list(restored_in_store(jobs, pipeline, Storage(self.output), self.there))


def restored_in_store(
    jobs: Sequence[StoredJob], pipeline: "Pipeline", target: Storage, there: set[str]
) -> Iterator[Made]:
    """Restore photos of a store; yield what became of each, in order, once it is in the store.

    Args:
        jobs: The photos.
        pipeline: What restores them.
        target: The output folder.
        there: Keys of the outputs that lie there of earlier runs.

    Raises:
        MachineError: If the store takes no more, or the disk is full.
    """
    with (
        tempfile.TemporaryDirectory(prefix="faceren-") as name,
        ThreadPoolExecutor(THREADS, "faceren-store") as pool,
    ):
        stage = _Stage(Path(name), pool)
        by_key = {job.key: job for job in jobs}
        for result in pipeline.run(stage.staged(jobs)):
            yield _stored(result, by_key[result.key], stage, target, there)


@dataclass(frozen=True)
class _Stage:
    """The photos of a store that are on the disk for a while."""

    folder: Path
    pool: ThreadPoolExecutor
    problems: dict[str, str] = field(default_factory=dict)
    """Why a photo could not be brought here, by its key."""
    stores: dict[Path, Storage] = field(default_factory=dict)

    @property
    def output(self) -> Path:
        """Where outputs are written."""
        return self.folder / "out"

    def staged(self, jobs: Iterable[StoredJob]) -> Iterator[Job]:
        """Yield photos as they come to the disk, in order, some of them ahead of their turn."""
        coming: deque[tuple[StoredJob, Future[Job]]] = deque()
        for job in jobs:
            if job.folder not in self.stores:
                self.stores[job.folder] = Storage(job.folder)
            coming.append((job, self.pool.submit(self._brought, job)))
            if len(coming) > AHEAD:
                yield coming.popleft()[1].result()
        for _, future in coming:
            yield future.result()

    def _brought(self, job: StoredJob) -> Job:
        here = Job(self.folder / "in" / job.key, self.output / job.key, job.key)
        here = replace(here, source=here.source.with_name(job.source.name))
        try:
            self.stores[job.folder].fetch(job.item, here.source)
        except FacerenError as error:  # the pipeline will say that there is no such file
            self.problems[job.key] = str(error)
        return here


def _stored(
    result: PhotoResult, job: StoredJob, stage: _Stage, target: Storage, there: set[str]
) -> Made:
    """Put what was made of a photo into the store, and return what to say of it."""
    versions = {"input": job.item.version}
    reason = stage.problems.pop(job.key, result.reason)
    if result.status != "failed":
        versions["output"] = target.put(result.output, job.key)
        for beside in (FACES_DIR, MASKS_DIR):
            for file in sorted((stage.output / beside).rglob("[!.]*")):
                if file.is_file():
                    target.put(file, file.relative_to(stage.output).as_posix())
                    file.unlink()
    elif job.key in there:
        target.move(job.key, f"{STALE_DIR}/{job.key}")
        reason += f"; the output of an earlier run was moved to {target.url}/{STALE_DIR}/{job.key}"
    for file in (result.source, result.output):
        with suppress(OSError):
            file.unlink(missing_ok=True)
    here = {str(result.source): spelled(job.source), str(result.output): spelled(job.output)}
    told = partial(_replaced, here)
    result = replace(
        result,
        source=job.source,
        output=job.output,
        reason=told(reason),
        warnings=tuple(map(told, result.warnings)),
    )
    return Made(result, result.to_json() | {"stored": versions})


def _replaced(words: Mapping[str, str], text: str) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def merge_stored(output: Path) -> Merged:
    """Join the records of all parts of a run into a store, as ``merge`` does on a disk.

    The new record is in its place before the old ones are deleted. No page is made: it needs the
    photos on a disk.

    Args:
        output: The folder of the parts.

    Raises:
        ConfigError: As ``merge``.
        MachineError: If the store cannot be read or written.
    """
    target = Storage(output)
    there = target.listing()
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        folder = Path(name)
        for shard, keys in segments_in(there).items():
            join(target, keys, shard.place(folder, RECORD_SUFFIX))
        if MANIFEST_NAME in there:
            join(target, [MANIFEST_NAME], folder / MANIFEST_NAME)
        told: Callable[[str], str] = partial(_replaced, {str(folder): target.url})
        try:
            merged = merge([folder])
        except ConfigError as error:
            raise ConfigError(told(str(error))) from error
        target.put(folder / MANIFEST_NAME, MANIFEST_NAME)
    left = [key for key in there if key.startswith((f"{SHARDS_DIR}/", f"{UPLOADS_DIR}/"))]
    target.remove(left)
    return replace(merged, output=output, problems=tuple(map(told, merged.problems)))
