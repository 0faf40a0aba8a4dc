"""Output folders as ``restore`` leaves them, made without a network."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from faceren.faces.alignment import TEMPLATE
from faceren.files import sha256_of
from faceren.runs.manifest import ManifestWriter, line_text
from faceren.runs.storage import Storage

HEADER = {
    "tool": "faceren 0",
    "command": "restore",
    "model": "faceren-base",
    "model_option": "base",
    "weights_sha256": "0" * 64,
    "options": {"strength": 1.0, "quality": 95, "color": "auto"},
}


def picture(seed, size=(120, 200)):
    """A photo with detail everywhere, (H, W, 3)."""
    y, x = np.mgrid[: size[0], : size[1]]
    rng = np.random.default_rng(seed)
    waves = [np.sin(x / a + seed) + np.cos(y / b) for a, b in rng.uniform(4, 20, (3, 2))]
    return (np.stack(waves, axis=2) * 50 + 128).clip(0, 255).astype(np.uint8)


def face_at(left, top, side, distance=0.2):
    """A face whose aligned crop is the upright square at left, top."""
    landmarks = (TEMPLATE + 0.5) * (side / 512) - 0.5 + [left, top]
    return {
        "box": [left, top, left + side, top + side],
        "landmarks": landmarks.round(2).tolist(),
        "score": 0.9,
        "crop": 256,
        "identity_distance": distance,
        "ms": 1.0,
    }


def as_earlier(face):
    """A face as earlier versions recorded it, whose distance was dlib's."""
    distance = face["identity_distance"]
    return {name: value for name, value in face.items() if name != "identity_distance"} | {
        "identity": distance
    }


def restored(before, faces):
    """The photo with the inner part of each face's crop inverted."""
    after = before.copy()
    for face in faces:
        x0, y0, x1, y1 = face["box"]
        inner = np.s_[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8]
        after[inner] = 255 - before[inner]
    return after


def line_of(key, before, after, status="restored", **more):
    """A line of the manifest for two files; ``after`` None if there is no output."""
    return {
        "key": key,
        "input": str(before),
        "input_sha256": sha256_of(before),
        "output": after and str(after),
        "output_sha256": after and sha256_of(after),
        "status": status,
        "reason": "",
        "settings": "s",
        "faces": [],
    } | more


def add_photo(root, key, faces, seed=0, save=None):
    """Write a photo before and after below ``root``; return its line."""
    before, after = root / "photos" / key, root / "out" / key
    for path in (before, after):
        path.parent.mkdir(parents=True, exist_ok=True)
    pixels = picture(seed)
    Image.fromarray(pixels).save(before, **save or {})
    Image.fromarray(restored(pixels, faces)).save(after, **save or {})
    return line_of(key, before, after, faces=faces)


def write_manifest(root, lines, header=HEADER):
    """Write the manifest of ``root / "out"``; return that folder."""
    with ManifestWriter(root / "out" / "manifest.jsonl", header) as writer:
        for line in lines:
            writer.append(line)
    return root / "out"


def make_run(root):
    """A run of five photos: two with a face, one with two, one without, one that failed."""
    lines = [
        add_photo(root, "a b/one.png", [face_at(20, 10, 96, 0.15)], seed=1),
        add_photo(root, "a b/two.png", [face_at(4, 8, 96, 0.3), face_at(100, 20, 96, 0.8)], seed=2),
        add_photo(root, "three.jpg", [face_at(60, 12, 96, 0.45)], seed=3, save={"quality": 95}),
    ]
    plain = add_photo(root, "view.png", [], seed=4)
    lines.append(plain | {"status": "no_face", "reason": "no face found"})
    broken = root / "photos" / "broken.jpg"
    broken.write_bytes(b"no photo")
    lines.append(line_of("broken.jpg", broken, None, "failed", reason="broken.jpg: damaged"))
    return write_manifest(root, lines)


def in_store(memory, root):
    """Copy the run of ``root / "out"`` and its photos into ``memory://a``, and record that."""
    for path in (path for path in root.rglob("*") if path.is_file()):
        memory.pipe_file(f"/a/{path.relative_to(root).as_posix()}", path.read_bytes())
    found = Storage(Path("memory://a")).listing()
    lines = []
    for text in (root / "out" / "manifest.jsonl").read_text().splitlines():
        line, stored = json.loads(text), {}
        for name in ("input", "output"):
            if line.get(name):
                place = Path(line[name]).relative_to(root).as_posix()
                line[name], stored[name] = f"memory://a/{place}", found[place].version
        lines.append(line_text(line | ({"stored": stored} if stored else {})))
    memory.pipe_file("/a/out/manifest.jsonl", "".join(lines).encode())
