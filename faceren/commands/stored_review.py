"""What follows a restoration in an object store: its page, and taking photos back.

The page is the same one, at the same places. Its pictures are drawn while photos are restored;
those that are not there are drawn here, each of a photo that is on the disk for that long. What is
gone or has changed is told by versions.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from faceren.commands.review import (
    RevertRun,
    Taken,
    Wanted,
    chosen,
    left_alone,
    suggested,
    take_back,
    taken_back,
)
from faceren.commands.stored import check_stored_page, copied_record, stored_run
from faceren.errors import FacerenError, MachineError
from faceren.images import DEFAULT_MAX_PIXELS, shown
from faceren.pages.comparison import keys_of
from faceren.pages.entries import Check, Entry, drawn, lacks_pictures
from faceren.pages.marks import mask_place
from faceren.pages.pictures import NAME as PICTURE
from faceren.pages.pictures import Pictures
from faceren.pages.review import Review, place_of, write_parts
from faceren.runs.disk_or_store import BUCKET, Files, folders_of
from faceren.runs.folder import PAGE_NAME, PICTURES_DIR
from faceren.runs.lists import Choice
from faceren.runs.manifest import MANIFEST_NAME, Manifest, leads_out, read_run
from faceren.runs.segments import MOST_SECONDS, join, settled
from faceren.runs.storage import Storage, Stored, is_stored, spelled
from faceren.runs.stored import AHEAD, THREADS

PART = re.compile(r"part-([0-9]{1,9})\.html")


def review_stored(output: Path, *, check: Check = "bytes", max_pixels: int | None = None) -> Review:
    """Write the review page of a run in a store from its manifest, as ``review`` does on a disk.

    Args:
        output: The folder that ``restore`` wrote.
        check: ``bytes`` looks for originals that have changed; ``there`` does without.
        max_pixels: Show no larger photos.

    Raises:
        ConfigError: If the folder has no manifest of ``restore``, or the page there is not ours.
        MachineError: If the store cannot be read or written.
    """
    target = Storage(output)
    with tempfile.TemporaryDirectory(prefix="faceren-") as name:
        folder = Path(name) / output  # so that links lead from here as they do there
        there, _ = settled(target)
        with copied_record(target, there, folder):
            check_stored_page(target, there)
            manifest = read_run(folder, "restore")
        shown_before = [Path(key).name for key in there if Path(key).parent == Path(PICTURES_DIR)]
        pictures = Pictures(folder / PICTURES_DIR, shown_before)
        page = _Page(Path(name), output, target, there, manifest, pictures)
        entries = page.drawn(page.entries(check), max_pixels or DEFAULT_MAX_PIXELS)
        pictures.keep_only({key for entry in entries for key in keys_of(entry.line)})
        commands = suggested(output, manifest.main_header)
        count = write_parts(folder, target.url, entries, [], manifest, pictures, commands)
        places = [place_of(Path(), number).as_posix() for number in range(1, count + 1)]
        for place in reversed(places):  # the first links to the others
            target.put(folder / place, place)
    photos = {entry.key for entry in entries}
    keys = (f"{PICTURES_DIR}/{file}" for file in shown_before if _is_old(file, count, pictures))
    target.remove([key for key in keys if key not in photos])
    notes = tuple(f"{shown(entry.key)}: {note}" for entry in entries for note in entry.notes)
    return Review(output / PAGE_NAME, len(entries), notes)


def _is_old(file: str, count: int, pictures: Pictures) -> bool:
    """Say whether a file beside the page is one of an earlier page that this one has not."""
    if picture := PICTURE.fullmatch(file):
        return picture[1] not in pictures
    part = PART.fullmatch(file)
    return part is not None and int(part[1]) > count


@dataclass(frozen=True)
class _Page:
    """What a page is made of."""

    root: Path
    """Stands for all stores, on the disk."""
    output: Path
    target: Storage
    there: Mapping[str, Stored]
    manifest: Manifest
    pictures: Pictures

    def entries(self, check: Check) -> list[Entry]:
        """Return the photos, sorted by name; their files are not on the disk yet."""
        now = self._originals() if check == "bytes" else None
        inner = (key for key in self.manifest.items if not leads_out(key))
        keys = sorted(inner, key=lambda key: key.split("/"))
        return [self._entry(key, now) for key in keys]

    def _originals(self) -> dict[Path, Stored]:
        """Return what is there now in the folders of the originals."""
        places = (Path(line["input"]) for line in self.manifest.items.values())
        # nobody else is asked for anything
        own = filter(self._is_own, places)
        found: dict[Path, Stored] = {}
        for folder in folders_of(own):
            found |= {folder / key: item for key, item in Storage(folder).listing().items()}
        return found

    def _is_own(self, source: Path) -> bool:
        """Say whether an original is in a store of the output's kind: no other one is asked."""
        return source.parts[:1] == self.output.parts[:1]

    def _entry(self, key: str, now: Mapping[Path, Stored] | None) -> Entry:
        line = self.manifest.items[key]
        source, versions = Path(line["input"]), line.get("stored") or {}
        notes, original, result = [], None, None
        safe = is_stored(source) and ".." not in source.parts  # it will have its place below root
        there = None if now is None or not safe else now.get(source)
        version = versions.get("input")
        trusted = now is None and version is not None and safe
        if trusted or (there is not None and there.version == version):
            original = self.root / source
        elif line.get("input_sha256"):  # else its reason says that it could not be read
            notes.append(_lost("the original", source, there, version))
        if line.get("output"):
            made = self.there.get(key)
            if made is not None and made.version == versions.get("output"):
                result = self.root / self.output / key
            else:
                notes.append(
                    _lost("the restored file", self.output / key, made, versions.get("output"))
                )
        header = self.manifest.headers.get(key, {})
        return Entry(line=line, header=header, original=original, result=result, notes=tuple(notes))

    def drawn(self, entries: Sequence[Entry], max_pixels: int) -> list[Entry]:
        """Make the pictures that are not there; return the entries as the page shows them."""
        made = {entry.key: entry for entry in entries}
        lacking = [entry for entry in entries if self._lacks(entry)]
        with ThreadPoolExecutor(THREADS) as pool:
            for at in range(0, len(lacking), AHEAD):
                batch = list(pool.map(self._brought, lacking[at : at + AHEAD]))
                for entry in drawn(batch, self.pictures, max_pixels, pool):
                    made[entry.key] = entry
                    for place in filter(None, (entry.original, entry.result)):
                        place.unlink(missing_ok=True)
                for file in sorted(self.pictures.folder.glob("*.jpg")):
                    self.target.put(file, f"{PICTURES_DIR}/{file.name}")
                    file.unlink()
        # no link leads from one bucket to another
        store = self.root.joinpath(*self.output.parts[:BUCKET])
        return [
            entry
            if entry.original is None or entry.original.is_relative_to(store)
            else replace(entry, original=None)
            for entry in made.values()
        ]

    def _lacks(self, entry: Entry) -> bool:
        if entry.original is None or entry.line.get("status") == "failed":
            return False
        if not self._is_own(Path(entry.line["input"])):
            return False
        marks = keys_of(entry.line).marks
        marked = bool(marks) and marks not in self.pictures and self._mask(entry) in self.there
        return marked or lacks_pictures(entry, self.pictures)

    def _mask(self, entry: Entry) -> str:
        folder = self.root / self.output
        return mask_place(entry.line, folder).relative_to(folder).as_posix()

    def _brought(self, entry: Entry) -> Entry:
        """Copy a photo, its output and its mask to the disk."""
        source = Path(entry.line["input"])
        version = entry.line["stored"]["input"]
        try:
            Storage(source.parent).fetch(Stored(source.name, version), self.root / source)
            for key in (entry.key if entry.result else "", self._mask(entry)):
                if key in self.there:
                    self.target.fetch(self.there[key], self.root / self.output / key)
        except FacerenError as error:
            note = f"it cannot be shown: {shown(str(error))}"
            return replace(entry, original=None, notes=(*entry.notes, note))
        return entry


def _lost(what: str, path: Path, now: Stored | None, version: str | None) -> str:
    """Return why a file is not shown."""
    if now is None:
        return f"{what} is gone: {shown(spelled(path))}"
    if version is None:
        return f"{what} cannot be told from another file, its version is not recorded"
    return f"{what} has changed since the run: {shown(spelled(path))}"


def revert_stored(
    output: Path, choices: Sequence[Choice], *, max_pixels: int | None = None, workers: int = 0
) -> RevertRun:
    """Plan to put originals back in a store, as ``revert`` does on a disk.

    The record is written anew when all is done, and about once a minute until then.

    Args:
        output: The folder that ``restore`` wrote.
        choices: Photos, by output key, output or input address, and faces of them.
        max_pixels: Refuse larger photos.
        workers: Threads; 0 is automatic.

    Raises:
        ConfigError: If the folder has no manifest, or a name of the list is not in it.
        MachineError: If the store cannot be read.
    """
    target = Storage(output)
    there, _ = settled(target)
    manifest = stored_run(target, there)
    back = _Back(output, target, manifest, chosen(output, manifest, choices), Files([output]))
    most = max_pixels or DEFAULT_MAX_PIXELS
    return RevertRun(len(back.wanted), back.results(there[MANIFEST_NAME], most, workers or THREADS))


@dataclass(frozen=True)
class _Back:
    """Photos of a store that are taken back."""

    output: Path
    target: Storage
    manifest: Manifest
    wanted: Wanted
    files: Files

    def results(self, record: Stored, max_pixels: int, threads: int) -> Iterator[Taken]:
        """Take them back; yield what became of each.

        Raises:
            MachineError: If the store takes no more, or the disk is full.
        """
        with tempfile.TemporaryDirectory(prefix="faceren-") as name:
            path = Path(name) / MANIFEST_NAME
            join(self.target, [record], path)
            before, since = path.stat().st_size, time.monotonic()
            try:
                with ThreadPoolExecutor(threads) as pool:
                    work = partial(self._taken, max_pixels)
                    for taken in taken_back(path, self.manifest, self.wanted, pool, work):
                        yield taken
                        if time.monotonic() - since > MOST_SECONDS:
                            self.target.put(path, MANIFEST_NAME)
                            since = time.monotonic()
            finally:
                if path.stat().st_size > before:
                    self.target.put(path, MANIFEST_NAME)

    def _taken(self, max_pixels: int, key: str) -> Taken:
        line, header = self.manifest.items[key], self.manifest.headers[key]
        source, target, faces = Path(line["input"]), self.output / key, self.wanted[key]
        if (alone := left_alone(key, line)) is not None:
            return alone
        with tempfile.TemporaryDirectory(prefix="faceren-") as name:
            made = Path(name) / f"output{target.suffix}"
            try:
                version = self.files.version(source)
                with self.files.local(source) as before:
                    if faces is not None:
                        with self.files.local(target) as after:
                            shutil.copyfile(after, made)
                    taken = take_back(key, line, header, (before, made), faces, max_pixels)
            except MachineError:
                raise
            except FacerenError as error:
                return Taken(line, "failed", f"{error}; nothing was taken back")
            if taken.status != "reverted":
                reason = taken.reason.replace(str(before), spelled(source))
                return replace(taken, reason=reason.replace(str(made), spelled(target)))
            versions = {"input": version, "output": self.target.put(made, key)}
        return replace(taken, line={**taken.line, "stored": versions})
