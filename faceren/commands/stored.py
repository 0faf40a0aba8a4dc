"""``faceren restore`` from folders of an object store into another one, and the merge there.

Each photo is brought to the disk, restored there as every other one, and its output is put into
the store. No hash can tell whether an object is unchanged without reading all of it: its version
does, as the store lists it.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from faceren.commands.merge import Merged, merge
from faceren.commands.options import FolderOptions, RunOptions
from faceren.commands.restore import RestoreRun, header_of, named_photos, restored, shard_of
from faceren.commands.review import PagePictures, open_to_change
from faceren.commands.workshop import Workshop
from faceren.errors import ConfigError
from faceren.images import shown
from faceren.pages.review import pictures_of
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import RECORDED, PhotoResult, skipped
from faceren.runs.folder import (
    BESIDE,
    PAGE_HEAD,
    PAGE_NAME,
    STALE_DIR,
    check_beside,
    check_head,
)
from faceren.runs.lists import given_faces, given_marks, listed
from faceren.runs.manifest import (
    MANIFEST_NAME,
    Line,
    Manifest,
    leads_out,
    read_manifest,
    read_run,
)
from faceren.runs.segments import (
    StoredFolder,
    forget_segments,
    join,
    merged_away,
    segments_in,
    settled,
)
from faceren.runs.shards import RECORD_SUFFIX, part_of
from faceren.runs.storage import Storage, Stored, spelled
from faceren.runs.stored import (
    THREADS,
    Stage,
    StoredFound,
    StoredJob,
    check_stored,
    in_order,
    plan_stored,
)

if TYPE_CHECKING:
    from faceren.restoration.pipeline import Pipeline


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
        inputs: Objects and folders, as ``s3://archive/scans``; none with ``folder.only``,
            ``folder.boxes`` or ``folder.repair_keep`` means those named there, of the earlier runs
            into ``output``, as long as they have the versions that were recorded.
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
    if folder.keep_times:
        raise ConfigError("--keep-times: expected an output folder on a disk, got a store")
    shard = shard_of(folder, inputs)
    boxes, marks, only = named_photos(folder, inputs)
    if only is not None and not inputs:
        target = StoredFolder.opened(output, "restore", shard)
        every = _recorded_jobs(output, target.recorded)
    else:
        check_stored(inputs, output)
        every = plan_stored(
            inputs, output, file_format=options.format, exclude=folder.exclude, suffix=folder.suffix
        )
        target = StoredFolder.opened(output, "restore", shard)
    problems = tuple(target.recorded.problems)
    given, kept = given_faces(every, boxes), given_marks(every, marks)
    own = [job for job in every if target.shard.has(job.key)]
    target.check_replaced(own)
    keys = {job.key for job in every}
    check_beside(keys, faces=folder.save_faces, masks=options.repair != "off")
    if only is not None:
        own = listed(own, only)
        if own and not inputs:
            check_stored([job.source for job in own], output)
            own = _as_recorded(own, output)
        target = replace(target, recorded=open_to_change(target.recorded))
    if with_pictures:
        check_stored_page(target.storage, target.there)
    workshop = Workshop(options, how, folder, given, kept)
    pipeline = workshop.pipeline()
    header = header_of(pipeline, how.model) | part_of(target.shard, every, len(own))
    there = frozenset(job.key for job in own if job.key in target.there)
    work = InStore(output, there, with_pictures)
    results = _work(own, workshop, pipeline, target, header, work, chosen=only is not None)
    return RestoreRun(len(own), shipped_samples=False, results=results, problems=problems)


def _recorded_jobs(output: Path, recorded: Manifest) -> list[StoredJob]:
    """Return the photos of earlier runs, as jobs of a new one; their stores are not asked.

    Raises:
        ConfigError: If there is none, or a name leads out of the folder: it would on the disk, too.
    """
    if not recorded.items:
        raise ConfigError(f"expected a folder that restore wrote, {spelled(output)} is none")
    jobs = []
    for key, line in sorted(recorded.items.items()):
        if leads_out(key):
            raise ConfigError(
                f"expected a path below {spelled(output)}, {key!r:.120} leads outside; nothing is "
                f"written there"
            )
        source, version = Path(line["input"]), str((line.get("stored") or {}).get("input") or "")
        item = Stored(source.name, version)
        found = StoredFound(source, PurePosixPath(source.name), item, source.parent)
        jobs.append(StoredJob(source, output / key, key, found))
    return jobs


def _as_recorded(jobs: Sequence[StoredJob], output: Path) -> list[StoredJob]:
    """Return jobs with their originals as they are now.

    Raises:
        ConfigError: If one is gone, or is not the one that was recorded; or if it is in a store of
            another kind than the output's: the record may name any, of which nothing is asked.
    """

    def looked(job: StoredJob) -> StoredJob:
        found, same_kind = job.found, job.source.parts[:1] == output.parts[:1]
        now = Storage(found.folder).look(found.item.key) if same_kind else None
        if now is not None and now.version == found.item.version:
            return replace(job, found=replace(found, item=now))
        state = "is gone" if now is None else "has changed since"
        state = state if same_kind else "is in a store of another kind"
        raise ConfigError(
            f"{shown(job.key)}: its original {shown(spelled(job.source))} {state}; name the photo, "
            f"or its folder, as an input"
        )

    with ThreadPoolExecutor(THREADS) as pool:
        return list(in_order(pool, looked, jobs))


def _work(
    jobs: Sequence[StoredJob],
    workshop: Workshop,
    pipeline: "Pipeline",
    target: StoredFolder,
    header: Line,
    work: "InStore",
    *,
    chosen: bool,
) -> Iterator[PhotoResult]:
    """Restore what is not done yet, and record it.

    Args:
        jobs: The photos.
        workshop: What a pipeline is made of.
        pipeline: It, as it was made here.
        target: The output folder, as it was found.
        header: Of the run.
        work: Restores photos of the store.
        chosen: They were chosen by name: they stay as they are in runs over everything.
    """
    mark = {"chosen": True} if chosen else {}
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
            writer.append(made.line | mark)
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
    forget_segments(target, merged_away(there))
    problems = tuple(text.replace(str(folder), target.url) for text in merged.problems)
    return replace(merged, output=output, problems=problems)


def _merged_before(target: Storage, there: Mapping[str, Stored], joined: Sequence[str]) -> Merged:
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        path = Path(name) / MANIFEST_NAME
        join(target, [there[MANIFEST_NAME]] if MANIFEST_NAME in there else [], path)
        items = read_manifest(path).items
    statuses = Counter(str(line.get("status")) for line in items.values())
    return Merged(Path(target.url), len(segments_in(joined)), statuses, ())
