"""Ways to restore a folder of degraded faces, all used alike: folder in, folder out."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import faceren
from faceren.arrays import Rgb8
from faceren.assets import model_path
from faceren.bench.request import Request, short_name
from faceren.checks import Json
from faceren.commands.options import FolderOptions, RunOptions
from faceren.commands.restore import restore
from faceren.config import Precision
from faceren.errors import ImageError
from faceren.files import sha256_of
from faceren.images import Found, find_images, read_rgb, same_name, write_png
from faceren.restoration.options import RestoreOptions
from faceren.runs.manifest import MANIFEST_NAME, ManifestWriter
from faceren.runs.plan import Job
from faceren.runs.resume import earlier_run, unchanged

Kind = Literal["input", "classical", "network", "peer"]


class Method(Protocol):
    """What is compared: the degraded input, a classical filter, a network."""

    @property
    def name(self) -> str:
        """Short name, fit for a folder."""
        ...

    @property
    def kind(self) -> Kind:
        """What kind of method it is."""
        ...

    @property
    def note(self) -> str:
        """What it does, in a sentence."""
        ...

    @property
    def settings(self) -> str:
        """Everything that decides its pixels: parameters, versions, hashes of weights."""
        ...

    def renew(self, damaged: Path, output: Path, *, overwrite: bool = False) -> Path:
        """Restore every image of a folder; return the folder of the results.

        Args:
            damaged: The degraded images.
            output: Where the results go.
            overwrite: Do again what an earlier run has done.

        Raises:
            FacerenError: If an image cannot be restored; what is done already stays.
        """
        ...


@dataclass(frozen=True)
class Untouched:
    """The degraded input itself."""

    name: str = "input"
    kind: Kind = "input"
    note: str = "the degraded face, untouched"
    settings: str = ""

    def renew(self, damaged: Path, output: Path, *, overwrite: bool = False) -> Path:
        """Return the degraded folder."""
        return damaged


@dataclass(frozen=True, kw_only=True)
class Network:
    """A generator of ours, run as ``faceren restore --aligned`` runs it."""

    name: str
    model: str
    """A shipped model's name, or a checkpoint."""
    weights_sha256: str
    what: str = "our network"
    """What it is, in a few words."""
    device: str = "auto"
    precision: Precision = "auto"
    kind: Kind = "network"

    @property
    def note(self) -> str:
        """Return which weights."""
        return f"{self.what}, weights {self.weights_sha256[:12]}"

    @property
    def settings(self) -> str:
        """Return what decides its pixels."""
        return f"{faceren.__version__} {self.weights_sha256} {self.device} {self.precision}"

    def renew(self, damaged: Path, output: Path, *, overwrite: bool = False) -> Path:
        """Restore every image of a folder."""
        run = restore(
            [damaged],
            output,
            # as the paper: the network sees the picture as large as it is
            RestoreOptions(aligned=True, color="free", working_size=2048),
            how=RunOptions(model=self.model, device=self.device, precision=self.precision),
            folder=FolderOptions(overwrite=overwrite, retry_failed=True),
        )
        for photo in run.results:
            if photo.status == "failed":
                raise ImageError(photo.reason)
        return output


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A function of one image."""

    name: str
    kind: Kind
    note: str
    settings: str
    function: Callable[[Rgb8], Rgb8]
    """(H, W, 3) in, the same shape out."""

    def renew(self, damaged: Path, output: Path, *, overwrite: bool = False) -> Path:
        """Restore every image of a folder, but for those that an earlier run has done."""

        def timed(_: Found, image: Rgb8) -> tuple[Rgb8, Json]:
            began = time.perf_counter()
            renewed = self.function(image)
            return renewed, {"ms": round(1000 * (time.perf_counter() - began), 1)}

        return each_face(self, damaged, output, timed, overwrite=overwrite)


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What another program made of the degraded faces, found in a folder."""

    name: str
    results: Path
    """Folder of the results: the relative paths of the degraded faces, whatever the suffix."""
    kind: Kind = "peer"

    @property
    def note(self) -> str:
        """Return where they were."""
        return f"made by another program, in {self.results}"

    @property
    def settings(self) -> str:
        """Return what decides its pixels: the files."""
        return digest_of(self.results)

    def strays(self, damaged: Path) -> list[str]:
        """Return the paths of results that belong to no degraded face."""
        known = {stem_of(found) for found in find_images([damaged])}
        return [item.relative.as_posix() for key, item in self._found().items() if key not in known]

    def renew(self, damaged: Path, output: Path, *, overwrite: bool = False) -> Path:
        """Copy the results as PNG, so that every method's faces lie alike.

        Raises:
            ImageError: If a face has no result, or one of another size.
        """
        theirs = self._found()
        faces = list(find_images([damaged]))
        missing = [face.relative.as_posix() for face in faces if stem_of(face) not in theirs]
        if missing:
            raise ImageError(
                f"{self.results}: expected a result for each of the {len(faces)} degraded faces, "
                f"{len(missing)} missing: {', '.join(missing[:3])}{', …' * (len(missing) > 3)}"
            )

        def found(face: Found, image: Rgb8) -> tuple[Rgb8, Json]:
            result = theirs[stem_of(face)]
            made = read_rgb(result.path)
            if made.shape != image.shape:
                (height, width), (high, wide) = image.shape[:2], made.shape[:2]
                raise ImageError(
                    f"{result.path}: expected {width}x{height} pixels like the degraded face, "
                    f"got {wide}x{high}"
                )
            return made, {}

        return each_face(self, damaged, output, found, overwrite=overwrite)

    def _found(self) -> dict[str, Found]:
        """Return the results by their paths without suffix."""
        return {stem_of(found): found for found in find_images([self.results])}


def digest_of(folder: Path) -> str:
    """Return 16 hexadecimal digits that change with any name or byte of a folder's images."""
    files = [(stem_of(found), sha256_of(found.path)) for found in find_images([folder])]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()[:16]


def stem_of(found: Found) -> str:
    """Return the path of a face below its folder, without suffix, whatever its Unicode form."""
    return same_name(found.relative.with_suffix("").as_posix())


def each_face(
    method: Method,
    damaged: Path,
    output: Path,
    renewed: Callable[[Found, Rgb8], tuple[Rgb8, Json]],
    *,
    overwrite: bool,
) -> Path:
    """Write what a method makes of each image, and what it says of it, with a manifest."""
    done = {} if overwrite else earlier_run(output, "restore").items
    how = method.settings  # may take the hash of many files
    settings = hashlib.sha256(how.encode()).hexdigest()[:16]
    # as "restore" says it, evaluate finds the way back to the clean faces
    header = {"tool": f"faceren {faceren.__version__}", "command": "restore"}
    header |= {"model": method.name, "method": how}
    with ManifestWriter(output / MANIFEST_NAME, header) as writer:
        for found in find_images([damaged]):
            job = Job(found.path, output / found.relative, found.relative.as_posix())
            if unchanged(job, done.get(job.key), settings):
                continue
            digest, image = sha256_of(job.source), read_rgb(job.source)
            made, face = renewed(found, image)
            write_png(job.output, made)
            writer.append(
                {
                    "key": job.key,
                    "input": str(job.source),
                    "input_sha256": digest,
                    "output": str(job.output),
                    "settings": settings,
                    "status": "restored",
                    "output_sha256": sha256_of(job.output),
                    "faces": [face],
                }
            )
    return output


def network(request: Request, model: str, *, name: str = "") -> Network:
    """Return a network of ours as a method.

    Args:
        request: Where to run it.
        model: A shipped model's name, or a checkpoint.
        name: Default the model's.
    """
    return Network(
        name=name or short_name(model),
        model=model,
        weights_sha256=sha256_of(model_path(model)),
        device=request.device,
        precision=request.precision,
    )
