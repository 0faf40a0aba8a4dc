"""Which result belongs to which reference: by relative path, or through the manifests.

A restored file knows its input, a degraded file its clean source; following both leads from a
restored face to what it should look like.
"""

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from faceren.checks import Json
from faceren.errors import ConfigError, NothingToDoError
from faceren.images import find_images, same_name
from faceren.metrics.results import ImageScores
from faceren.runs.manifest import (
    MANIFEST_NAME,
    Manifest,
    key_of,
    output_of,
    read_manifest,
    source_of,
)

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


def pair_up(results: Path, reference: Path | None) -> Pairing:
    """Find the results, and the reference of each.

    Args:
        results: A folder, or one image.
        reference: A folder or an image; None looks through the manifests.

    Raises:
        NothingToDoError: If there is no result.
        ConfigError: If a path does not exist, or a manifest or the names make no sense.
    """
    if not results.exists():
        raise ConfigError(f"results: expected a folder or an image, {results} does not exist")
    manifests = _Manifests()
    found, failures = _find_results(results, manifests)
    if not found and not failures:
        raise NothingToDoError(f"no image to score in {results}")
    traced = [_traced(row, manifests) for row in found]
    if reference is not None:
        rows, strays = _matched(traced, reference)
        return Pairing(rows, strays, failures, str(reference))
    have = [row for row in traced if row.reference is not None]
    lack = [row for row in traced if row.reference is None]
    if not have:
        return Pairing(tuple(traced), (), failures, None)
    return Pairing(tuple(have), tuple(row.path for row in lack), failures, FROM_MANIFEST)


class _Manifests:
    """The manifests that were read so far, each once."""

    def __init__(self) -> None:
        self._read: dict[Path, Manifest | None] = {}
        self._made: dict[Path, dict[Path, Json]] = {}

    def of(self, folder: Path) -> Manifest | None:
        """Return the manifest in a folder, None if it has none."""
        if folder not in self._read:
            path = folder / MANIFEST_NAME
            self._read[folder] = read_manifest(path) if path.is_file() else None
        return self._read[folder]

    def made(self, path: Path) -> tuple[Json, str, Path] | None:
        """Return the item that made a file, the command, and the manifest's folder."""
        real = path.resolve()
        for folder in real.parents:
            manifest = self.of(folder)
            if manifest is None:
                continue
            if folder not in self._made:
                outputs = ((output_of(line, folder), line) for line in manifest.items.values())
                self._made[folder] = {path.resolve(): line for path, line in outputs if path}
            if real in self._made[folder]:
                return self._made[folder][real], str(manifest.header.get("command", "")), folder
        return None


def _find_results(
    results: Path, manifests: _Manifests
) -> tuple[list[ImageScores], tuple[tuple[str, str], ...]]:
    manifest = manifests.of(results) if results.is_dir() else None
    if manifest is None:
        images = find_images([results], exclude=[SHEET_NAME])
        rows = [ImageScores(path=i.relative.as_posix(), result=i.path) for i in images]
        return rows, ()
    rows, failures = [], []
    for line in manifest.items.values():
        name = key_of(line)
        output = output_of(line, results)
        if output is None and line.get("output"):
            failures.append((name, "the manifest names a file outside of its folder"))
        elif output is None:
            failures.append((name, line.get("reason") or str(line.get("status"))))
        elif not output.is_file():
            failures.append((name, f"{output} is in the manifest, but the file is gone"))
        else:
            known = [face.get("identity") for face in line.get("faces") or []]
            numbers = [float(value) for value in known if value is not None]
            mean = sum(numbers) / len(numbers) if numbers else None
            rows.append(ImageScores(path=name, result=output, identity=mean))
    return sorted(rows, key=lambda row: PurePosixPath(row.path).parts), tuple(failures)


def _traced(row: ImageScores, manifests: _Manifests) -> ImageScores:
    """Follow the manifests back to the clean source; a real photo has none."""
    current, seen = row.result, set[Path]()
    while (step := manifests.made(current)) is not None:
        line, command, folder = step
        if current.resolve() in seen:
            return row
        seen.add(current.resolve())
        source = source_of(line, folder)
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
    found: list[ImageScores], reference: Path
) -> tuple[tuple[ImageScores, ...], tuple[str, ...]]:
    """Return the results that a folder has references for, and what has no twin on either side."""
    if not reference.exists():
        raise ConfigError(f"--reference: {reference} does not exist")
    if reference.is_file():
        if len(found) != 1:
            raise ConfigError(
                f"--reference: expected a folder for {len(found)} results, got one file {reference}"
            )
        return (replace(found[0], reference=reference, reference_sha256=""),), ()
    twins: dict[str, dict[PurePosixPath, Path]] = {}  # by relative path without its suffix
    for item in find_images([reference]):
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
    strays += sorted(str(p) for twin in twins.values() for p in twin.values() if p not in used)
    return tuple(rows), tuple(strays)
