"""Which result belongs to which reference: by relative path, or through the manifests.

A restored file knows its input, a degraded file its clean source; following both leads from a
restored face to what it should look like.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from faceren.errors import ConfigError, NothingToDoError
from faceren.images import find_images
from faceren.runs.manifest import MANIFEST_NAME, Manifest, key_of, read_manifest, source_of

Line = dict[str, Any]
FROM_MANIFEST = "manifest"
SHEET_NAME = "worst.png"
"""The sheet of the worst images may lie among the results; it is none of them."""


@dataclass(frozen=True)
class Pair:
    """A result and what is known of where it comes from."""

    path: str
    """Relative to the results folder, with forward slashes."""
    result: Path
    reference: Path | None = None
    reference_sha256: str = ""
    """What the reference had when it was degraded; empty if unknown."""
    resize: Mapping[str, Any] | None = None
    """How the clean image was scaled before it was degraded, as its manifest says."""
    identity: float | None = None
    """Mean distance of the restored faces to those of the input."""
    input: Path | None = None
    """What it was restored from, as the manifest says."""


@dataclass(frozen=True)
class Pairing:
    """All results, and what is wrong with some."""

    pairs: tuple[Pair, ...]
    strays: tuple[str, ...] = ()
    """Results without a reference, references without a result."""
    failures: tuple[tuple[str, str], ...] = ()
    """Items of the manifest that failed or whose file is gone, and why."""
    source: str | None = field(default=None)
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
    traced = [_traced(pair, manifests) for pair in found]
    if reference is not None:
        pairs, strays = _matched(traced, reference)
        return Pairing(pairs, strays, failures, str(reference))
    have = [pair for pair in traced if pair.reference is not None]
    lack = [pair for pair in traced if pair.reference is None]
    if not have:
        return Pairing(tuple(traced), (), failures, None)
    return Pairing(tuple(have), tuple(pair.path for pair in lack), failures, FROM_MANIFEST)


class _Manifests:
    """The manifests that were read so far, each once."""

    def __init__(self) -> None:
        self._read: dict[Path, Manifest | None] = {}
        self._made: dict[Path, dict[Path, Line]] = {}

    def of(self, folder: Path) -> Manifest | None:
        """Return the manifest in a folder, None if it has none."""
        if folder not in self._read:
            path = folder / MANIFEST_NAME
            self._read[folder] = read_manifest(path) if path.is_file() else None
        return self._read[folder]

    def made(self, path: Path) -> tuple[Line, str, Path] | None:
        """Return the item that made a file, the command, and the manifest's folder."""
        real = path.resolve()
        for folder in real.parents:
            manifest = self.of(folder)
            if manifest is None:
                continue
            if folder not in self._made:
                self._made[folder] = _by_output(manifest, folder)
            if real in self._made[folder]:
                return self._made[folder][real], str(manifest.header.get("command", "")), folder
        return None


def _by_output(manifest: Manifest, folder: Path) -> dict[Path, Line]:
    return {
        output.resolve(): line
        for line in manifest.items.values()
        if (output := _output(line, folder)) is not None
    }


def _output(line: Line, folder: Path) -> Path | None:
    """Return the file an item made: below its manifest, wherever that folder is now."""
    if not line.get("output"):
        return None
    by_key = folder / key_of(line)
    return by_key if by_key.is_file() else Path(line["output"])


def _find_results(
    results: Path, manifests: _Manifests
) -> tuple[list[Pair], tuple[tuple[str, str], ...]]:
    manifest = manifests.of(results) if results.is_dir() else None
    if manifest is None:
        images = find_images([results], exclude=[SHEET_NAME])
        return [Pair(found.relative.as_posix(), found.path) for found in images], ()
    pairs, failures = [], []
    for line in manifest.items.values():
        name = key_of(line)
        output = _output(line, results)
        if output is None:
            failures.append((name, line.get("reason") or str(line.get("status"))))
        elif not output.is_file():
            failures.append((name, f"{output} is in the manifest, but the file is gone"))
        else:
            pairs.append(Pair(name, output, identity=_identity(line)))
    return sorted(pairs, key=lambda pair: PurePosixPath(pair.path).parts), tuple(failures)


def _identity(line: Line) -> float | None:
    known = [face.get("identity") for face in line.get("faces") or []]
    numbers = [float(value) for value in known if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def _traced(pair: Pair, manifests: _Manifests) -> Pair:
    """Follow the manifests back to the clean source; a real photo has none."""
    current, seen = pair.result, set[Path]()
    while (step := manifests.made(current)) is not None:
        line, command, folder = step
        if current.resolve() in seen:
            return pair
        seen.add(current.resolve())
        source = source_of(line, folder)
        if command == "restore" and pair.input is None:
            pair = replace(pair, input=source)
        if command == "degrade":
            digest = str(line.get("input_sha256") or "")
            return replace(
                pair, reference=source, reference_sha256=digest, resize=line.get("resize")
            )
        current = source
    return pair


def _matched(found: list[Pair], reference: Path) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    if not reference.exists():
        raise ConfigError(f"--reference: {reference} does not exist")
    if reference.is_file():
        if len(found) != 1:
            raise ConfigError(
                f"--reference: expected a folder for {len(found)} results, got one file {reference}"
            )
        return (replace(found[0], reference=reference, reference_sha256=""),), ()
    twins = _by_stem((item.relative, item.path) for item in find_images([reference]))
    pairs, strays, used = [], [], set[Path]()
    for pair in found:
        name = PurePosixPath(pair.path)
        twin = twins.get(name.with_suffix("").as_posix(), {})
        match = twin.get(name) or next(iter(twin.values()), None)
        if match is None:
            strays.append(pair.path)
            continue
        if len(twin) > 1 and name not in twin:
            names = ", ".join(sorted(str(n) for n in twin))
            raise ConfigError(f"--reference: {pair.path} could belong to {names}; remove one")
        used.add(match)
        # a resize counts wherever the clean image lies; a hash only for the file it was taken of
        pairs.append(replace(pair, reference=match, reference_sha256=""))
    strays += sorted(str(p) for twin in twins.values() for p in twin.values() if p not in used)
    return tuple(pairs), tuple(strays)


def _by_stem(
    files: Iterator[tuple[PurePosixPath, Path]],
) -> dict[str, dict[PurePosixPath, Path]]:
    twins: dict[str, dict[PurePosixPath, Path]] = {}
    for relative, path in files:
        twins.setdefault(relative.with_suffix("").as_posix(), {})[relative] = path
    return twins
