"""Make ``faceren/faces/likeness.npz`` anew: what tells a face from what the detector takes for one.

``python -m tests.faces.fit_likeness --faces FOLDER --nobody FOLDER… -o likeness.npz``: FACES holds
aligned faces, which are aged and shrunk here; NOBODY pictures without people. The shipped file is
of 800 of the training faces and of the pictures of Debian 12's packages tuxpaint-stamps-default,
gnome-backgrounds, mate-backgrounds, plasma-workspace-wallpapers and gcompris-qt-data, and those of
scikit-image; none of them is shipped. Folds are by file, so that no picture vouches for itself.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from faceren.degradation import apply, draw
from faceren.faces import tiny
from faceren.faces.closer import LEANING, best_turn, features, measured
from faceren.faces.face import quarter, tilt
from faceren.faces.pyramid import search_levels
from tests.faces.scenes import without_people
from tests.faces.survey import SUFFIXES, opened

SIDES = (256, 192, 128, 80, 64, 48)
"""Sides in pixels to which faces are brought before they are aged."""
TASKS = ("full", "historic", "small", "mixed", "historic", "full", "small", None)
LEAST = 0.3
"""Confidence from which a finding is an example."""
RIDGE = 1000.0
KEPT = 0.995
"""Share of the faces that the detector is confident of and that must not become doubtful."""
CONFIDENT = 0.8
FOLDS = 5


def findings(image):
    """Yield what the detector takes for faces, each measured as the search does."""
    turns = (0, 1, 2, 3)
    for face in search_levels(image, LEAST, tiny.search)[:3]:
        best = best_turn(image, face, tiny.search, turns)
        finer = None if best is None else measured(image, best, tiny.search)
        if finer is not None and abs(tilt(face)) < LEANING and quarter(finer) == 0:
            finer = replace(face, landmarks=finer.landmarks)
        yield finer or face


def of_faces(folder, most):
    rng = np.random.default_rng(2)
    paths = sorted(Path(folder).iterdir())
    for index, number in enumerate(rng.permutation(len(paths))[:most]):
        image = np.ascontiguousarray(cv2.imread(str(paths[number]))[..., ::-1])
        side, task = SIDES[index % len(SIDES)], TASKS[index // len(SIDES) % len(TASKS)]
        face = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        face = face if task is None else apply(face, draw(task, seed=index, size=side))
        if rng.random() < 0.4:
            gray = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
            face = np.repeat(gray[..., None], 3, axis=2)
        canvas = np.full((2 * side, 2 * side, 3), round(float(face.mean())), np.uint8)
        canvas[side // 2 : -(side // 2), side // 2 : -(side // 2)] = cv2.resize(face, (side, side))
        near = [f for f in findings(canvas) if np.hypot(*(f.landmarks[2] - side)) < 0.3 * side]
        yield from ((canvas, found, number) for found in near[:1])


def of_nobody(folders):
    paths = [p for f in folders for p in sorted(Path(f).rglob("*")) if p.suffix.lower() in SUFFIXES]
    pictures = [opened(path) for path in paths if not path.is_symlink()]
    pictures += without_people().values()
    for number, picture in enumerate(p for p in pictures if p is not None and min(p.shape) > 2):
        if min(picture.shape[:2]) < 32:
            continue
        for turn in range(4):
            image = np.ascontiguousarray(np.rot90(picture, turn))
            yield from ((image, found, number) for found in findings(image))


def table(examples):
    """Return features, (N, K), and folds, (N,), of examples."""
    rows = [(features(image, face), number % FOLDS) for image, face, number in examples]
    return np.array([row for row, _ in rows]), np.array([fold for _, fold in rows])


def ridge(x, y):
    """Return weights of a ridge regression with each class counting half, the bias last."""
    padded = np.column_stack([x, np.ones(len(x))])
    share = np.where(y > 0, 0.5 / (y > 0).sum(), 0.5 / (y < 0).sum())
    inner = padded @ padded.T + RIDGE * np.diag(1 / share) / len(y)
    return padded.T @ np.linalg.solve(inner, y)


def logistic(x, y):
    """Return weights of a logistic regression with each class counting half, the bias last."""
    padded, target = np.column_stack([x, np.ones(len(x))]), (y > 0).astype(float)
    share = np.where(y > 0, 0.5 / (y > 0).sum(), 0.5 / (y < 0).sum()) * len(y)
    weights = np.zeros(padded.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-padded @ weights))
        curve = padded.T @ (padded * (share * p * (1 - p) + 1e-9)[:, None]) + 0.5 * np.eye(
            len(weights)
        )
        weights -= np.linalg.solve(curve, padded.T @ (share * (p - target)) + 0.5 * weights)
    return weights


def fit(x, y, folds):
    """Return bias and weights, (1 + K,), and the logits of each example when it was left out."""
    maps, confidence = x[:, :-1], x[:, -1]
    mean, spread = maps.mean(0), maps.std(0) + 1e-6
    scaled = (maps - mean) / spread
    unseen = np.zeros(len(y))
    for fold in range(FOLDS):
        out = folds == fold
        weights = ridge(scaled[~out], y[~out])
        unseen[out] = scaled[out] @ weights[:-1] + weights[-1]
    both = np.column_stack([unseen, confidence])
    joint = logistic(both, y)
    logits = both @ joint[:2] + joint[2]
    sure = (y > 0) & (confidence > np.log(CONFIDENT / (1 - CONFIDENT)))
    shift = np.quantile(logits[sure], 1 - KEPT)
    weights = ridge(scaled, y)
    slopes = joint[0] * weights[:-1] / spread
    bias = joint[0] * weights[-1] + joint[2] - mean @ slopes - shift
    return np.concatenate([[bias], slopes, [joint[1]]]), logits - shift


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.faces.fit_likeness")
    parser.add_argument("--faces", required=True)
    parser.add_argument("--nobody", nargs="*", default=[])
    parser.add_argument("--most", type=int, default=800)
    parser.add_argument("-o", "--output", required=True)
    given = parser.parse_args()
    faces, face_folds = table(of_faces(given.faces, given.most))
    others, other_folds = table(of_nobody(given.nobody))
    y = np.concatenate([np.ones(len(faces)), -np.ones(len(others))])
    x, folds = np.concatenate([faces, others]), np.concatenate([face_folds, other_folds])
    weights, logits = fit(x, y, folds)
    np.savez(given.output, weights=weights.astype(np.float32))
    confident = x[:, -1] > np.log(CONFIDENT / (1 - CONFIDENT))
    for name, mine in (("faces", y > 0), ("others", y < 0)):
        passed = logits[mine & confident] > 0
        line = (
            f"{name}: {mine.sum()} found, {passed.size} confidently, of which {passed.sum()} pass"
        )
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
