"""What follows a run: its page, and taking restorations back."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from faceren.assets import DEFAULT_MODEL
from faceren.checks import Json, fits, hints_of
from faceren.errors import FacerenError, MachineError, unforeseen
from faceren.images import DEFAULT_MAX_PIXELS, Photo, shown
from faceren.pages.comparison import Look, draw, look_at
from faceren.pages.entries import Check
from faceren.pages.pictures import Pictures
from faceren.pages.review import Review, write_review
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import FaceEdit, LeftFace, PhotoResult
from faceren.restoration.revert import reverted
from faceren.runs.folder import check_page, check_places, check_replaced, inside, writing
from faceren.runs.lists import Choice, resolved
from faceren.runs.manifest import (
    MANIFEST_NAME,
    Line,
    Manifest,
    ManifestWriter,
    read_run,
    restate_header,
    source_of,
)
from faceren.runs.plan import Job
from faceren.runs.storage import spelled
from faceren.runs.stored import in_order

RENAMED_OPTIONS = {"min_identity": "max_identity_distance"}
"""Fields of headers of earlier versions."""
WEAKER, STRONGER = 0.6, 1.5
"""What the page proposes to multiply the strength with."""
Wanted = dict[str, frozenset[int] | None]
"""Indices of the faces that are asked for, by the keys of photos; None is the whole photo."""


@dataclass(frozen=True)
class Taken:
    """What became of one photo that was to be reverted."""

    line: Json
    """Its line of the manifest, as it is now."""
    status: Literal["reverted", "unchanged", "failed"]
    reason: str = ""
    """Why it was left as it was."""


@dataclass(frozen=True)
class RevertRun:
    """A planned revert; iterating over ``results`` does the work."""

    total: int
    results: Iterator[Taken]


def recorded_jobs(output: Path) -> list[Job]:
    """Return the photos of earlier runs into a folder, as jobs of a new one."""
    items = read_run(output, "restore").items
    return [Job(source_of(items[key], output), inside(output, key), key) for key in sorted(items)]


def review(
    output: Path, *, check: Check = "bytes", max_pixels: int | None = None, workers: int = 0
) -> Review:
    """Write the review page of a run from its manifest; see ``write_review``.

    Raises:
        ConfigError: If the folder has no manifest of ``restore``.
        MachineError: If the disk is full.
    """
    manifest = read_run(output, "restore")
    check_places(output)
    check_page(output)
    return write_review(
        output,
        manifest,
        check=check,
        commands=suggested(output, manifest.main_header),
        max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
        threads=workers or 2,
    )


def open_to_change(manifest: Manifest) -> Manifest:
    """Return the manifest as a run with ``--only`` has to see it: earlier choices do not bind it.

    Args:
        manifest: Of earlier runs.
    """
    items = {
        key: line | {"chosen": False}
        for key, line in manifest.items.items()
        if not any(face.get("reverted") for face in line.get("faces") or [])
    }
    return Manifest(manifest.header, items, manifest.headers)


@dataclass(frozen=True)
class PagePictures:
    """Draws the review page's pictures of each photo while the photo is in memory."""

    pictures: Pictures

    def look(self, photo: Photo, faces: Sequence[FaceEdit], left: Sequence[LeftFace]) -> Look:
        """Return a photo and its faces as the page shows them."""
        made, others = ([face.to_json() for face in some] for some in (faces, left))
        return look_at(photo, made, others, photo.scale)

    def draw(self, result: PhotoResult, before: Look, after: Look) -> None:
        """Write the pictures of a photo."""
        draw(self.pictures, result.to_json(), before, after)


def options_of(header: Json) -> RestoreOptions:
    """Return the options of a run, as far as its header holds what they take.

    A header is data, whoever wrote it: what is no option of ours is left out.
    """
    hints = hints_of(RestoreOptions)
    written = header.get("options") or {}
    named = {RENAMED_OPTIONS.get(name, name): value for name, value in written.items()}
    known = {n: v for n, v in named.items() if n in hints and fits(v, hints[n])}
    return RestoreOptions(**known)


def suggested(output: Path, header: Json) -> dict[str, str]:
    """Return what to run with each exported list, with the options that most photos had.

    Args:
        output: The folder of the run.
        header: Of most of its photos.
    """
    start = f"faceren restore -o {shlex.quote(spelled(output))}"
    commands = {"keep": f"{start} --revert keep-original.txt"}
    written = header.get("options") or {}
    options = {RENAMED_OPTIONS.get(name, name): value for name, value in written.items()}
    defaults = asdict(RestoreOptions(mask="ellipse"))  # of a header, which has no auto mask
    # records of versions that did not name the model are of those whose default was compact
    model = str(header.get("model_option", "compact"))
    flags = [f"--model {shlex.quote(model)}"] * (model != DEFAULT_MODEL)
    for name, value in options.items():
        if name == "strength" or name not in defaults or value == defaults[name]:
            continue  # a name that is no option of ours is somebody else's words
        if not fits(value, hints_of(RestoreOptions)[name]):
            continue  # so is what the option does not take
        flag = "--" + name.replace("_", "-")
        flags.append(flag if value is True else f"{flag} {shlex.quote(str(value))}")
    rest = "".join(f" {flag}" for flag in flags)
    strength = options.get("strength", 1)
    if not fits(strength, hints_of(RestoreOptions)["strength"]) or not model.isprintable():
        return commands
    for name, factor in (("weaker", WEAKER), ("stronger", STRONGER)):
        new = min(1.0, round(strength * factor, 2))
        if new != strength:
            commands[name] = f"{start} --only {name}.txt --strength {new:g}{rest}"
    same = "" if strength == RestoreOptions().strength else f" --strength {strength:g}"
    commands["faces"] = f"{start} --boxes faces.jsonl{same}{rest}"
    mode = options.get("repair")
    if mode in ("suggest", "auto", "strong"):
        filling = rest.replace(" --repair suggest", " --repair auto")
        commands["marks"] = f"{start} --repair-keep marks.jsonl{same}{filling}"
    return commands


def revert(
    output: Path,
    choices: Sequence[Choice],
    *,
    max_pixels: int | None = None,
    workers: int = 0,
) -> RevertRun:
    """Plan to put originals back; iterating over ``results`` does it and records it.

    Args:
        output: The folder that ``restore`` wrote.
        choices: Photos, by output key, output or input path, and faces of them.
        max_pixels: Refuse larger photos.
        workers: Threads; 0 is automatic.

    Raises:
        ConfigError: If the folder has no manifest, or a name of the list is not in it.
    """
    manifest = read_run(output, "restore")
    check_places(output)
    wanted = chosen(output, manifest, choices)
    jobs = [Job(source_of(manifest.items[k], output), inside(output, k), k) for k in wanted]
    check_replaced(jobs, output, manifest.items)
    results = _revert(output, manifest, wanted, max_pixels or DEFAULT_MAX_PIXELS, workers or 2)
    return RevertRun(len(wanted), results)


def chosen(output: Path, manifest: Manifest, choices: Sequence[Choice]) -> Wanted:
    """Return what a list asks for each photo of a run, by whatever name it says it.

    Args:
        output: The folder of the run.
        manifest: Its record.
        choices: The list.

    Raises:
        ConfigError: If a name of the list is none of the run.
    """
    keys = {str(line["input"]): key for key, line in manifest.items.items()}
    keys |= {spelled(output / key): key for key in manifest.items} | {k: k for k in manifest.items}
    return resolved(choices, keys)


def _revert(
    output: Path, manifest: Manifest, wanted: Wanted, max_pixels: int, threads: int
) -> Iterator[Taken]:
    """Yield what became of each photo."""

    def work(key: str) -> Taken:
        line = manifest.items[key]
        if (taken := left_alone(key, line)) is None:
            places = source_of(line, output), output / key
            header = manifest.headers[key]
            taken = take_back(key, line, header, places, wanted[key], max_pixels)
        return taken

    noted = writing(output, wanted, known=manifest.items)
    with noted, ThreadPoolExecutor(threads) as pool:
        yield from taken_back(output / MANIFEST_NAME, manifest, wanted, pool, work)


def taken_back(
    path: Path,
    manifest: Manifest,
    keys: Iterable[str],
    pool: ThreadPoolExecutor,
    work: Callable[[str], Taken],
) -> Iterator[Taken]:
    """Take photos back; yield what became of each, once it is written down.

    That is done under the header of the run that it came from.

    Args:
        path: The record.
        manifest: What it holds.
        keys: Of the photos.
        pool: Threads that do the work.
        work: Takes one photo back.
    """
    groups: dict[int, list[str]] = {}
    for key in sorted(keys, key=lambda key: manifest.headers[key] is manifest.header):
        groups.setdefault(id(manifest.headers[key]), []).append(key)
    for group in groups.values():
        with ManifestWriter(path, manifest.headers[group[0]]) as writer:
            for taken in in_order(pool, work, group):
                if taken.status == "reverted":
                    writer.append(taken.line)
                yield taken
    if id(manifest.header) not in groups:
        restate_header(path, manifest.header)


def left_alone(key: str, line: Line) -> Taken | None:
    """Return what becomes of a photo of which there is nothing to take back; else None.

    Args:
        key: Of the photo.
        line: Its line of the record.
    """
    status = line.get("status")
    if status in ("no_face", "reverted"):
        return Taken(line, "unchanged", f"{shown(key)} is the original already")
    if status != "restored":
        return Taken(line, "failed", f"{shown(key)}: it was not restored ({status!r:.40})")
    return None


def take_back(
    key: str,
    line: Line,
    header: Json,
    places: tuple[Path, Path],
    faces: frozenset[int] | None,
    max_pixels: int,
) -> Taken:
    """Put the original of a photo back, or those of some of its faces; see ``reverted``.

    Args:
        key: Of the photo.
        line: Its line of the record.
        header: Of its run.
        places: Of the original, and of the restored file, which is replaced.
        faces: Indices of faces; None is the whole photo.
        max_pixels: Refuse larger photos.

    Raises:
        MachineError: If the disk is full.
    """
    quality = int((header.get("options") or {}).get("quality", 95))
    try:
        new = reverted(line, *places, faces, max_pixels=max_pixels, quality=quality)
    except MachineError:
        raise
    except FacerenError as error:
        return Taken(line, "failed", str(error))
    except Exception as error:  # a line or a file that nobody has foreseen
        return Taken(line, "failed", f"{shown(key)}: {unforeseen(error)}")
    return Taken(new, "reverted")
