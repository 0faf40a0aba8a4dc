"""Pictures with known faces: groups and pages made of the sample photos; and pictures without any.

A scene's truth are the landmarks that the detector finds in the upright sample, moved as the sample
was.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from skimage import data

from faceren.assets import samples_dir
from faceren.faces.detection import detect_faces

PAPER = (216, 208, 190)


@dataclass(frozen=True)
class Scene:
    name: str
    image: np.ndarray
    """(H, W, 3) uint8, RGB."""
    landmarks: np.ndarray
    """(N, 5, 2), in its pixels."""


def read(name):
    bgr = cv2.imread(str(samples_dir() / name))
    assert bgr is not None, name
    return np.ascontiguousarray(bgr[..., ::-1])


@cache
def sample(name):
    """Return a sample photo and the landmarks of its faces, from left to right."""
    image = read(name)
    found = detect_faces(image)
    return image, np.stack(sorted((f.landmarks for f in found), key=lambda points: points[2, 0]))


@cache
def portraits():
    """Return portraits with their landmarks, (5, 2): those of clean/ and two with damage."""
    names = sorted(path.name for path in (samples_dir() / "clean").iterdir())
    pictures = [sample(f"clean/{name}") for name in names]
    pictures += [sample("portrait_gray.jpg"), sample("astronaut_rotated.jpg")]
    return [(image, points[0]) for image, points in pictures]


def eye_distance(points):
    return float(np.hypot(*(points[1] - points[0])))


def moved(points, matrix):
    return points @ matrix[:, :2].T + matrix[:, 2]


def laid(page, picture, points, centre, width, angle):
    """Lay a picture on a page, turned clockwise, as large as makes its face ``width`` wide.

    Returns:
        Where its landmarks are now.
    """
    height, length = picture.shape[:2]
    scale = width * 0.59 / eye_distance(points)  # the eyes of a face are 0.59 of its box apart
    scaled = picture
    if scale < 1:
        size = (max(1, round(length * scale)), max(1, round(height * scale)))
        scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    step = np.array([scaled.shape[1] / length, scaled.shape[0] / height])
    points = (points + 0.5) * step - 0.5
    rest = scale / step.mean()
    matrix = cv2.getRotationMatrix2D((0, 0), -angle, rest)
    matrix[:, 2] = np.array(centre) - matrix[:, :2] @ (np.array(scaled.shape[1::-1]) / 2 - 0.5)
    size = page.shape[1::-1]
    mask = cv2.warpAffine(np.full(scaled.shape[:2], 255, np.uint8), matrix, size)
    print_ = cv2.warpAffine(
        scaled, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    page[mask > 127] = print_[mask > 127]
    return moved(points, matrix)


def turned_group(angle, scale=1.0):
    """Return the sample group turned clockwise by any angle, on paper that holds all of it."""
    image, faces = sample("group_of_seven.jpg")
    height, width = (round(side * scale) for side in image.shape[:2])
    side = int(np.hypot(height, width)) + 2
    square = angle % 90 == 0
    size = ((width, height) if angle % 180 == 0 else (height, width)) if square else (side, side)
    page = np.full((size[1], size[0], 3), PAPER, np.uint8)
    if square:
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        page = np.ascontiguousarray(np.rot90(small, -angle // 90))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -angle, 1)
    matrix[:, 2] += (np.array(size) - (width, height)) / 2
    if not square:
        mask = cv2.warpAffine(np.full((height, width), 255, np.uint8), matrix, size)
        turned = cv2.warpAffine(small, matrix, size, flags=cv2.INTER_CUBIC)
        page[mask > 127] = turned[mask > 127]
    points = [moved((face + 0.5) * scale - 0.5, matrix) for face in faces]
    return Scene(f"group at {angle}°, scale {scale}", page, np.stack(points))


def page_of_prints(width, angles, seed=0, cell=0):
    """Return an album page: portraits in rows, each face ``width`` pixels wide and turned.

    ``cell`` is the side of the square that each lies in, by default as large as a print.
    """
    cell = cell or round(5.2 * width)
    columns = -(-len(angles) // 3)
    page = np.full((3 * cell, columns * cell, 3), PAPER, np.uint8)
    rng = np.random.default_rng(seed)
    page = np.clip(page + rng.normal(0, 3, page.shape), 0, 255).astype(np.uint8)
    points = []
    pictures = portraits()
    for index, angle in enumerate(angles):
        picture, face = pictures[index % len(pictures)]
        centre = ((index % columns + 0.5) * cell, (index // columns + 0.5) * cell)
        picture, face = cut_out(picture, face)
        points.append(laid(page, picture, face, centre, width, angle))
    return Scene(f"prints of {width} px at {sorted(set(angles))}°", page, np.stack(points))


def cut_out(picture, points):
    """Return the part of a portrait that a print of it would show, and its landmarks there."""
    middle, half = points.mean(0), 3.1 * eye_distance(points)
    low = np.maximum(middle - half, 0).astype(int)
    high = (middle + half).astype(int)
    return picture[low[1] : high[1], low[0] : high[0]], points - low


def drawings():
    """Return pictures of clocks, moons, patterns and smiling faces, by name."""
    found = {}
    for name, draw in (("clock", _clock), ("moon", _moon), ("smiley", _smiley), ("dice", _dice)):
        canvas = np.full((320, 320, 3), 200, np.uint8)
        draw(canvas)
        found[name] = canvas
    y, x = np.mgrid[:320, :320]
    for name, wave in (
        ("waves", np.sin(x / 9) * np.sin(y / 7)),
        ("rings", np.cos(np.hypot(x - 160, y - 160) / 6)),
    ):
        found[name] = np.repeat((127 + 100 * wave)[..., None], 3, axis=2).astype(np.uint8)
    return found


def _clock(canvas):
    cv2.circle(canvas, (160, 160), 120, (250, 245, 230), -1)
    cv2.circle(canvas, (160, 160), 120, (60, 40, 30), 5)
    for hour in range(12):
        at = (
            round(160 + 100 * np.sin(hour * np.pi / 6)),
            round(160 - 100 * np.cos(hour * np.pi / 6)),
        )
        cv2.circle(canvas, at, 7, (40, 40, 40), -1)
    cv2.line(canvas, (160, 160), (160, 90), (20, 20, 20), 5)
    cv2.line(canvas, (160, 160), (215, 185), (20, 20, 20), 4)


def _moon(canvas):
    canvas[:] = 12
    cv2.circle(canvas, (160, 160), 120, (200, 200, 190), -1)
    for at, radius in (((120, 130), 22), ((200, 125), 26), ((160, 175), 12), ((150, 220), 34)):
        cv2.circle(canvas, at, radius, (150, 150, 142), -1)


def _smiley(canvas):
    cv2.circle(canvas, (160, 160), 120, (250, 210, 60), -1)
    for at in ((118, 125), (202, 125)):
        cv2.circle(canvas, at, 16, (30, 20, 10), -1)
    cv2.ellipse(canvas, (160, 180), (65, 50), 0, 10, 170, (30, 20, 10), 8)


def _dice(canvas):
    cv2.rectangle(canvas, (60, 60), (260, 260), (250, 250, 250), -1)
    for at in ((110, 110), (210, 110), (160, 160), (110, 210), (210, 210)):
        cv2.circle(canvas, at, 18, (20, 20, 20), -1)


PICTURES = (
    "brick",
    "cat",
    "cell",
    "checkerboard",
    "clock",
    "coffee",
    "coins",
    "colorwheel",
    "grass",
    "gravel",
    "horse",
    "hubble_deep_field",
    "immunohistochemistry",
    "microaneurysms",
    "moon",
    "page",
    "retina",
    "rocket",
    "shepp_logan_phantom",
    "text",
)
"""Of scikit-image, what is shipped with it and shows no person."""


def without_people():
    """Return pictures without a face by name: those of scikit-image and those drawn here."""
    found = {name: _rgb8(getattr(data, name)()) for name in PICTURES}
    return found | drawings() | {"park": read("park_no_face.webp")}


def _rgb8(image):
    image = np.asarray(image)
    if image.dtype == bool or image.dtype.kind == "f":
        image = image * 255.0 / max(1.0, float(image.max()))
    image = np.clip(image, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(
        image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    )


def parts(picture):
    """Yield a picture without people at several turns, sizes and cuts: each is another test."""
    yield picture
    yield np.ascontiguousarray(picture[::-1])
    yield np.ascontiguousarray(np.rot90(picture))
    height, width = picture.shape[:2]
    for top in (0, height // 3):
        for left in (0, width // 3):
            yield np.ascontiguousarray(
                picture[top : top + 2 * height // 3, left : left + 2 * width // 3]
            )
