"""Count what the search for faces finds, misses and invents on pictures with known faces.

``python -m tests.faces.survey [--negatives FOLDER…] [--photos FOLDER]``: recall, precision and the
error of the landmarks in distances between the eyes. ``--negatives`` adds folders of pictures in
which nobody is, ``--photos`` a folder of photos of which each turn and half and twice its size are
compared with itself.
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from faceren.faces import tiny
from faceren.faces.detection import detect_faces
from tests.faces.scenes import (
    eye_distance,
    page_of_prints,
    parts,
    turned_group,
    without_people,
)

ALLOWED = 0.08
"""Error of a face's landmarks, in distances between its eyes, that the goal allows on average."""
NEAR = 0.5
"""A finding is a face if the mean of their landmarks is nearer than this, in eye distances."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass
class Count:
    """What was found in a few pictures."""

    faces: int = 0
    hit: int = 0
    false: int = 0
    doubtful: int = 0
    errors: list[float] = field(default_factory=list)
    pixels: int = 0

    def add(self, other):
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def line(self, name):
        found = self.hit + self.false
        errors = self.errors or [float("nan")]
        return (
            f"{name:44} {self.hit:4}/{self.faces:<4} "
            f"recall {self.hit / max(1, self.faces):.3f} "
            f"precision {self.hit / max(1, found):.3f} doubtful {self.doubtful:3} "
            f"error {np.mean(errors):.3f} worst {np.max(errors):.3f} "
            f"{self.pixels / 1e6:7.1f} Mpx"
        )


def searched(image):
    """Return the faces of a picture and how many pixels the detector saw."""
    seen = 0

    def search(part, threshold):
        nonlocal seen
        seen += part.shape[0] * part.shape[1]
        return tiny.search(part, threshold)

    return detect_faces(image, search=search), seen


def compare(count, image, truth):
    """Add what is found in a picture to a count."""
    found, pixels = searched(image)
    count.pixels += pixels
    count.faces += len(truth)
    count.doubtful += sum(bool(face.doubt) for face in found)
    left = [face for face in found if not face.doubt]
    for points in truth:
        apart = [float(np.hypot(*(f.landmarks.mean(0) - points.mean(0)))) for f in left]
        if left and min(apart) < NEAR * eye_distance(points):
            face = left.pop(int(np.argmin(apart)))
            count.hit += 1
            away = np.hypot(*(face.landmarks - points).T).mean()
            count.errors.append(float(away / eye_distance(points)))
    count.false += len(left)


def turned_groups():
    for scale in (1.0, 0.5):
        for angle in range(0, 360, 45):
            yield f"group, scale {scale}, at {angle}°", turned_group(angle, scale)


def pages():
    for width in (24, 32, 48, 96):
        for angles in ([0] * 12, [0, 90, 180, 270] * 3, [0, 45, 135, 90, 210, 300] * 2):
            yield f"prints of {width} px at {sorted(set(angles))}°", page_of_prints(width, angles)


def sheets():
    """Small prints that lie far apart: pages of half a megapixel to five."""
    for cell in (230, 330, 450, 620):
        for width in (24, 32):
            for angles in ([0] * 12, [0, 90, 180, 270] * 3, [0, 45, 135, 90, 210, 300] * 2):
                scene = page_of_prints(width, angles, seed=cell, cell=cell)
                height, length = scene.image.shape[:2]
                yield f"{width} px in {length} x {height} at {sorted(set(angles))}°", scene


def negatives(folders):
    for picture in without_people().values():
        yield from (("scikit-image and drawings", part) for part in parts(picture))
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            image = opened(path) if path.suffix.lower() in SUFFIXES else None
            if image is not None and min(image.shape[:2]) >= 32:
                yield Path(folder).name, image


def opened(path):
    """Return a picture of at most 800 pixels a side, transparency on gray; None if it is none."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    image = (image / 257).astype(np.uint8) if image.dtype == np.uint16 else image
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if image.shape[2] == 4:
        share = image[..., 3:] / 255
        image = (image[..., :3] * share + 200 * (1 - share)).astype(np.uint8)
    scale = min(1, 800 / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[..., ::-1])


def views_of(image):
    """Yield a picture at four turns, and at half and twice its size: landmarks that map onto it."""
    for turn in range(4):
        yield f"turned by {90 * turn}°", np.ascontiguousarray(np.rot90(image, turn)), turn, 1.0
    for scale in (0.5, 2.0):
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = [round(side * scale) for side in image.shape[1::-1]]
        yield f"{scale} times as large", cv2.resize(image, size, interpolation=method), 0, scale


def in_view(points, shape, turn, scale):
    """Return landmarks, (N, 5, 2), of a picture in one of its views."""
    height, width = shape[:2]
    for _ in range(turn):
        points = np.stack([points[..., 1], width - 1 - points[..., 0]], axis=-1)
        height, width = width, height
    return (points + 0.5) * scale - 0.5


def photos(folder):
    counts = {}
    for path in sorted(Path(folder).glob("*.jpg")):
        image = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        truth = [face.landmarks for face in detect_faces(image) if not face.doubt]
        truth = np.stack(truth) if truth else np.empty((0, 5, 2))
        for name, view, turn, scale in views_of(image):
            compare(
                counts.setdefault(name, Count()), view, in_view(truth, image.shape, turn, scale)
            )
    for name, count in counts.items():
        yield count.line(f"photos {name}")


def report(arguments):
    """Yield the lines of the survey."""
    for scenes in (turned_groups(), pages(), sheets()):
        total = Count()
        for name, scene in scenes:
            count = Count()
            compare(count, scene.image, scene.landmarks)
            total.add(count)
            yield count.line(name)
        yield total.line("all of these")
    counts, wrong = {}, {}
    for name, picture in negatives(arguments.negatives):
        found, _ = searched(picture)
        counts[name] = counts.get(name, 0) + 1
        clear = [face for face in found if not face.doubt]
        ghosts, doubtful = wrong.get(name, (0, 0))
        wrong[name] = (ghosts + len(clear), doubtful + len(found) - len(clear))
    for name, count in counts.items():
        ghosts, doubtful = wrong[name]
        yield f"{name}: {count} pictures without people, {ghosts} ghosts, {doubtful} doubtful"
    if arguments.photos:
        yield from photos(arguments.photos)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.faces.survey")
    parser.add_argument("--negatives", nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--photos", metavar="FOLDER")
    for line in report(parser.parse_args()):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
