"""Small runs of every command, as the fault laboratory and the kills need them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

from faceren.checkpoint import save_checkpoint
from faceren.networks.generator import build_generator
from faceren.weights import CheckpointInfo
from tests.attack.faults import Fault, Laboratory, contents
from tests.calls import degraded
from tests.training.tiny import CONFIG, write_images, write_recipe

MACHINE_WORDS = ("Traceback", "not foreseen")
"""What no message of a disk that fails may have in it."""
KEPT_FOR_LOCKS = ".faceren-lock"


@dataclass(frozen=True)
class Scene:
    """A command and what it reads and writes, by names below the laboratory's root."""

    command: str
    output: str
    """The folder that it writes, or the name that its files begin with."""
    statuses: tuple[int, ...] = (0,)
    """Of an undisturbed run."""
    start: str = ""
    """A folder that the output is a copy of, before."""

    def begin(self, root: Path) -> None:
        """Make what the output is before a run."""
        if self.start:
            shutil.copytree(root / self.start, root / self.output)


SCENES = {
    "restore": Scene(
        "restore in -o out --aligned --model net.safetensors --ensemble off --no-report", "out"
    ),
    "page": Scene("restore in -o out --aligned --model net.safetensors --ensemble off", "out"),
    "degrade": Scene("degrade in -o out --task full --size 64 --workers 1", "out"),
    "merge": Scene("degrade --merge part0 part1 -o out", "out"),
    "merge-shared": Scene("degrade --merge out", "out", start="parts"),
    "evaluate": Scene(
        "evaluate in --reference in --metrics psnr --json-file out/a.json --csv out/a.csv", "out"
    ),
    "train": Scene("train tiny.yaml -o out", "out"),
    "benchmark": Scene(
        "benchmark in/b.jpg --suite quality --tasks denoise --metrics psnr --model net.safetensors "
        "--size 64 -o out",
        "out",
    ),
}


def prepare(root: Path) -> None:
    """Write three small photos of three formats, a network of some thousand weights, a recipe."""
    inputs = write_images(root / "in", 1, side=64)
    picture = cv2.imread(str(inputs / "000.png"))
    cv2.imwrite(str(inputs / "b.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
    deep = picture[..., ::-1].astype(np.uint16) * 257
    tifffile.imwrite(inputs / "c.tif", deep, photometric="rgb")
    network = build_generator(CONFIG)
    save_checkpoint(root / "net.safetensors", network, info=CheckpointInfo(name="net"))
    write_recipe(root, train={"steps": 2, "batch": 2}, validate={"every": 2, "images": 1})
    for number in range(2):
        for folder in (f"part{number}", "parts"):
            degraded([inputs], root / folder, task="full", size=64, shard=f"{number}/2")


@dataclass(frozen=True)
class Undisturbed:
    """What a run without a fault has left."""

    originals: dict[str, str]
    results: dict[str, str]
    calls: dict[str, int]


def undisturbed(laboratory: Laboratory, root: Path, scene: Scene) -> Undisturbed:
    """Run a scene without a fault; its output is removed again."""
    scene.begin(root)
    run = laboratory.run(scene.command.split())
    assert run.status in scene.statuses, run.stderr
    found = Undisturbed(originals(root, scene), results(root, scene), run.calls)
    shutil.rmtree(root / scene.output)
    return found


def trial(
    laboratory: Laboratory, root: Path, scene: Scene, expected: Undisturbed, fault: Fault
) -> Iterator[str]:
    """Run a scene with a fault and once more without; yield what is wrong, if anything."""
    arguments = scene.command.split()
    scene.begin(root)
    run = laboratory.run(arguments, fault)
    if run.status not in range(5) or any(word in run.stderr for word in MACHINE_WORDS):
        yield f"exit status {run.status}: {run.stderr.strip()[-300:]}"
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    if run.status == 4 and not 1 <= len(errors) <= 4:  # at most one a photo, and why it ended
        yield f"not one line: {run.stderr.strip()[-300:]}"
    if originals(root, scene) != expected.originals:
        yield "an original has changed"
    left = results(root, scene)
    done = run.status in scene.statuses and left == expected.results
    if done and (fault.kind != "write" or scene.start):
        shutil.rmtree(root / scene.output)  # what a run without a fault leaves: nothing to resume
        return
    for name, digest in left.items():
        picture = Path(name).suffix in (".png", ".jpg", ".tif") and "/" not in name
        if picture and expected.results.get(name) != digest:
            yield f"{name} is torn"
    again = laboratory.run(arguments)
    if again.status not in scene.statuses:
        yield f"the same command does not go on: {again.status} {again.stderr.strip()[-300:]}"
    resumed = results(root, scene)
    different = {k for k in resumed | expected.results if resumed.get(k) != expected.results.get(k)}
    if different:
        yield f"the resumed run differs in {sorted(different)[:4]}"
    shutil.rmtree(root / scene.output, ignore_errors=True)


def originals(root: Path, scene: Scene) -> dict[str, str]:
    """Return the hashes of all files that a scene does not write."""
    return {k: v for k, v in contents(root).items() if not k.startswith(scene.output + "/")}


def results(root: Path, scene: Scene) -> dict[str, str]:
    """Return the hashes of what a run has left; where time has its part, that it is there."""
    found = contents(root / scene.output) if (root / scene.output).exists() else {}
    return {
        name: "" if _timed(name) else digest
        for name, digest in found.items()
        if name != KEPT_FOR_LOCKS and not name.startswith(("tensorboard/", ".shards-merged/"))
    }


def _timed(name: str) -> bool:
    """Say whether a file says how long something took."""
    path = Path(name)
    return (
        path.suffix in (".jsonl", ".json", ".html", ".md", ".csv")
        and path.name
        not in (
            "manifest.jsonl",
            "a.json",
            "a.csv",
        )
    ) or path.name in ("state.safetensors", "curves.png")


def removed(root: Path) -> None:
    """Remove what scenes have left."""
    for scene in SCENES.values():
        shutil.rmtree(root / scene.output, ignore_errors=True)
