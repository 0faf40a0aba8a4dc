"""Which result belongs to which reference: by relative path, or through the manifests.

A restored file knows its input, a degraded file its clean source; following both leads from a
restored face to what it should look like.
"""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from faceren.checks import Json
from faceren.errors import ConfigError, FacerenError, MachineError, NothingToDoError
from faceren.files import sha256_of
from faceren.images import Found, same_name
from faceren.metrics.results import ImageScores
from faceren.runs.disk_or_store import Files
from faceren.runs.manifest import (
    MANIFEST_NAME,
    Manifest,
    key_of,
    output_of,
    read_manifest,
    source_of,
)
from faceren.runs.storage import is_stored, spelled

FROM_MANIFEST = "manifest"
SHEET_NAME = "worst.png"
"""The sheet of the worst images may lie among the results; it is none of them."""


@dataclass(frozen=True)
class Pairing:
    """All results, and what is wrong with some."""

    rows: tuple[ImageScores, ...]
    """The results, not scored yet."""
    strays: tuple[str, ...] = ()
    """Results without a reference, references without a result."""
    failures: tuple[tuple[str, str], ...] = ()
    """Items of the manifest that failed or whose file is gone, and why."""
    source: str | None = None
    """The folder of the references, or ``manifest``; None if there are none."""


def pair_up(results: Path, reference: Path | None, files: Files | None = None) -> Pairing:
    """Find the results, and the reference of each.

    Args:
        results: A folder, or one image.
        reference: A folder or an image; None looks through the manifests.
        files: Reads them.

    Raises:
        NothingToDoError: If there is no result.
        ConfigError: If a path does not exist, or a manifest or the names make no sense.
    """
    files = files or Files([path for path in (results, reference) if path is not None])
    if not files.is_file(results) and not files.is_folder(results):
        raise ConfigError(
            f"results: expected a folder or an image, {spelled(results)} does not exist"
        )
    manifests = _Manifests(files)
    found, failures = _find_results(results, manifests)
    if not found and not failures:
        raise NothingToDoError(f"no image to score in {spelled(results)}")
    traced = [_traced(row, manifests) for row in found]
    if reference is not None:
        rows, strays = _matched(traced, reference, files)
        return Pairing(rows, strays, failures, spelled(reference))
    have = [row for row in traced if row.reference is not None]
    lack = [row for row in traced if row.reference is None]
    if not have:
        return Pairing(tuple(traced), (), failures, None)
    return Pairing(tuple(have), tuple(row.path for row in lack), failures, FROM_MANIFEST)


class _Manifests:
    """The manifests that were read so far, each once."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._read: dict[Path, Manifest | None] = {}
        self._made: dict[Path, dict[Path, Json]] = {}

    def of(self, folder: Path) -> Manifest | None:
        """Return the manifest in a folder, None if it has none."""
        if folder not in self._read:
            path, self._read[folder] = folder / MANIFEST_NAME, None
            if self.files.is_file(path):
                with self.files.local(path) as here:
                    self._read[folder] = read_manifest(here)
                self.files.is_folder(folder)  # of a store: what is in it will be asked for
        return self._read[folder]

    def made(self, path: Path) -> tuple[Json, str, Path] | None:
        """Return the item that made a file, the command, and the manifest's folder."""
        real = self.files.resolved(path)
        for folder in real.parents:
            if is_stored(real) and not is_stored(folder):
                return None  # above the store
            manifest = self.of(folder)
            if manifest is None:
                continue
            if folder not in self._made:
                lines = manifest.items.values()
                outputs = ((output_of(line, folder, self.files.is_file), line) for line in lines)
                self._made[folder] = {self.files.resolved(p): line for p, line in outputs if p}
            if real in self._made[folder]:
                return self._made[folder][real], str(manifest.header.get("command", "")), folder
        return None


def _find_results(
    results: Path, manifests: _Manifests
) -> tuple[list[ImageScores], tuple[tuple[str, str], ...]]:
    files = manifests.files
    single = files.is_file(results)
    manifest = None if single else manifests.of(results)
    if manifest is None:
        alone = [Found(results, PurePosixPath(results.name))]
        images = alone if single else files.images(results, exclude=[SHEET_NAME])
        rows = [ImageScores(path=i.relative.as_posix(), result=i.path) for i in images]
        return rows, ()
    rows, failures = [], []
    for line in manifest.items.values():
        name = key_of(line)
        output = output_of(line, results, files.is_file)
        if output is None and line.get("output"):
            failures.append((name, "the manifest names a file outside of its folder"))
        elif output is None:
            failures.append((name, line.get("reason") or str(line.get("status"))))
        elif not files.is_file(output):
            failures.append((name, f"{spelled(output)} is in the manifest, but the file is gone"))
        else:
            known = [face.get("identity_distance") for face in line.get("faces") or []]
            numbers = [float(value) for value in known if value is not None]
            mean = sum(numbers) / len(numbers) if numbers else None
            rows.append(ImageScores(path=name, result=output, identity=mean))
    return sorted(rows, key=lambda row: PurePosixPath(row.path).parts), tuple(failures)


def _traced(row: ImageScores, manifests: _Manifests) -> ImageScores:
    """Follow the manifests back to the clean source; a real photo has none."""
    files, current, seen = manifests.files, row.result, set[Path]()
    while (step := manifests.made(current)) is not None:
        line, command, folder = step
        if files.resolved(current) in seen:
            return row
        seen.add(files.resolved(current))
        source = source_of(line, folder, files.is_file)
        digest = str(line.get("input_sha256") or "")
        if command == "restore" and row.input is None:
            row = replace(row, input=source, input_sha256=digest)
        if command == "degrade":
            if not digest:  # any file could pass for the clean one
                return row
            return replace(
                row, reference=source, reference_sha256=digest, resize=line.get("resize")
            )
        current = source
    return row


def _matched(
    found: list[ImageScores], reference: Path, files: Files
) -> tuple[tuple[ImageScores, ...], tuple[str, ...]]:
    """Return the results that a folder has references for, and what has no twin on either side."""
    single = files.is_file(reference)
    if not single and not files.is_folder(reference):
        raise ConfigError(f"--reference: {spelled(reference)} does not exist")
    if single:
        if len(found) != 1:
            raise ConfigError(
                f"--reference: expected a folder for {len(found)} results, got one file "
                f"{spelled(reference)}"
            )
        return (replace(found[0], reference=reference, reference_sha256=""),), ()
    twins: dict[str, dict[PurePosixPath, Path]] = {}  # by relative path without its suffix
    for item in files.images(reference):
        stem = same_name(item.relative.with_suffix("").as_posix())
        twins.setdefault(stem, {})[item.relative] = item.path
    rows, strays, used = [], [], set[Path]()
    for row in found:
        name = PurePosixPath(row.path)
        twin = twins.get(same_name(name.with_suffix("").as_posix()), {})
        alike = [other for other in twin if same_name(str(other)) == same_name(row.path)]
        fitting = [name] if name in twin else alike or list(twin)
        if not fitting:
            strays.append(row.path)
            continue
        if len(fitting) > 1:
            names = ", ".join(sorted(str(n) for n in fitting))
            raise ConfigError(f"--reference: {row.path} could belong to {names}; remove one")
        match = twin[fitting[0]]
        used.add(match)
        # a resize counts wherever the clean image lies; a hash only for the file it was taken of
        rows.append(replace(row, reference=match, reference_sha256=""))
    strays += sorted(spelled(p) for twin in twins.values() for p in twin.values() if p not in used)
    return tuple(rows), tuple(strays)


def is_recorded(row: ImageScores, files: Files) -> bool:
    """Say whether an input is the file that was restored: a manifest may name any of the disk.

    Raises:
        MachineError: If a store does not say.
    """
    if row.input_sha256 is None or row.input is None:
        return row.input is not None
    try:
        with files.local(row.input) as here:
            return sha256_of(here) == row.input_sha256
    except MachineError:
        raise
    except (OSError, FacerenError):
        return False
