"""One face of a photo restored anew; all else in the photo's file stays as it is now."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from faceren.checks import Json
from faceren.commands.options import RunOptions
from faceren.commands.review import options_of
from faceren.commands.workshop import load_pipeline
from faceren.errors import ConfigError, FaceError
from faceren.faces.given import GivenFace
from faceren.files import atomic_path, sha256_of
from faceren.images import shown
from faceren.restoration.repair.repair import Repairer
from faceren.restoration.revert import with_faces_of_file
from faceren.runs.folder import MASKS_DIR, check_places, check_replaced, inside, writing
from faceren.runs.manifest import MANIFEST_NAME, Line, ManifestWriter, read_run, source_of
from faceren.runs.plan import Job
from faceren.runs.resume import check_originals

NO_OTHER = 1e9
"""Pixels that no face has: what is not marked is left alone."""


def restore_face(output: Path, key: str, index: int, strength: float, how: RunOptions) -> None:
    """Restore one face of a photo anew, by its original, and write that down.

    The photo's other options and its weights are those that it was restored with.

    Args:
        output: The folder that ``restore`` wrote.
        key: The photo's name in the record, which has it.
        index: Of the face in the record, which has it.
        strength: For this face, see ``RestoreOptions``.
        how: With what it is done.

    Raises:
        ConfigError: If the original is gone or has changed, or the photo was restored with other
            weights than ``how`` names.
        FaceError: If the face cannot be restored alone, or the photo's marks cannot be filled
            again as they are in its file.
        ImageError: If the photo's file is gone or has changed.
        MachineError: If weights or the device are not there, or the disk is full.
    """
    manifest = read_run(output, "restore")
    line, header = manifest.items[key], manifest.headers[key]
    job = Job(source_of(line, output), inside(output, key), key)
    check_places(output)
    check_replaced([job], output, manifest.items)
    check_originals([job], manifest.items)
    options = replace(options_of(header), strength=strength, min_face=NO_OTHER)
    pipeline = load_pipeline(options, how)
    if header.get("weights_sha256") != pipeline.restorer.checkpoint.sha256:
        raise ConfigError(
            f"{shown(key)} was restored with other weights than those of --model {how.model}; "
            f"restore the whole photo, or name its weights"
        )
    given = {key: (marked(line["faces"][index]),)}
    pipeline = replace(pipeline, given=given, repairer=filling_again(line, output))
    with (
        writing(output, [key]),
        tempfile.TemporaryDirectory(prefix="faceren-face-") as folder,
    ):
        alone = Path(folder) / key
        made = pipeline.one(replace(job, output=alone))
        if made.status == "failed" or len(made.faces) != 1:
            raise FaceError(made.reason or f"{shown(key)}: the face was not found again")
        if [round(page.share, 6) for page in made.repairs if page.filled] != filled_shares(line):
            raise FaceError(
                f"{shown(key)}: its marks were filled, and their mask in {output / MASKS_DIR} is "
                f"gone or has changed since; restore the whole photo"
            )
        if line["status"] == "reverted":  # the others are the original's, there as here
            with atomic_path(job.output) as temporary:
                shutil.copyfile(alone, temporary)
        else:
            with_faces_of_file(line, alone, job.output, {index}, pipeline.max_pixels, options)
        with ManifestWriter(output / MANIFEST_NAME, header) as writer:
            writer.append(line_with(line, index, made.faces[0].to_json(), sha256_of(job.output)))
        if header is not manifest.header:
            with ManifestWriter(output / MANIFEST_NAME, manifest.header):
                pass  # the last header stays that of the last restoration


def filling_again(line: Line, output: Path) -> Repairer | None:
    """Return what fills a photo's marks as they were filled, by its mask; None if none was.

    Args:
        line: The photo's line of the record.
        output: The folder that has the mask.

    Raises:
        FaceError: If the mask came from elsewhere, and so is not there.
    """
    if not filled_shares(line):
        return None
    if any(page["given"] for page in line["repair"]):
        raise FaceError(
            f"{shown(line['key'])}: its marks were filled by a given mask; restore the whole photo"
        )
    return Repairer("off", output / MASKS_DIR)


def filled_shares(line: Line) -> list[float]:
    """Return which shares of a photo's pages were filled, of those where any pixel was.

    Args:
        line: The photo's line of the record.
    """
    return [page["share"] for page in line.get("repair") or [] if page["filled"]]


def marked(face: Json) -> GivenFace:
    """Return a face of the record as one to be restored where it is."""
    x0, y0, x1, y1 = (float(value) for value in face["box"])
    landmarks = tuple((float(x), float(y)) for x, y in face["landmarks"])
    return GivenFace((x0, y0, x1, y1), landmarks, int(face.get("page", 0)))


def line_with(line: Line, index: int, face: Json, sha256: str) -> Line:
    """Return a photo's line of the record after a face of it was restored anew.

    Args:
        line: Before that.
        index: Of the face.
        face: What is said of it now.
        sha256: Of the photo's file now.
    """
    faces = list(line["faces"])
    faces[index] = face | {"score": faces[index].get("score", face["score"])}
    changed = {"status": "restored", "reason": "", "output_sha256": sha256, "chosen": True}
    return {**line, **changed, "faces": faces}
