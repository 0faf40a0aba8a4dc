"""kill -9 at random moments: what is there is whole, and the same command goes on."""

import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.attack.faults import Kill, Laboratory
from tests.attack.scenes import SCENES, originals, prepare, results, undisturbed

PICTURES = (".png", ".jpg", ".tif")
KILLED = ("restore", "degrade", "train")


def killed(
    laboratory: Laboratory, root: Path, count: int, seed: int, names: Sequence[str] = KILLED
) -> Iterator[str]:
    """Kill runs of each scene in turn; yield what is wrong, if anything.

    Args:
        laboratory: Where they run.
        root: Its folder, empty.
        count: How many kills.
        seed: Of the moments.
        names: Scenes.
    """
    draw = random.Random(seed)
    prepare(root)
    spans, expected = {}, {}
    for name in names:
        undisturbed(laboratory, root, SCENES[name])  # the first run of a process is no measure
        began = time.monotonic()
        expected[name] = undisturbed(laboratory, root, SCENES[name])
        spans[name] = time.monotonic() - began
    for number in range(count):
        name = names[number % len(names)]
        scene, known = SCENES[name], expected[name]
        moment = draw.uniform(0, 0.8 * spans[name])
        run = laboratory.run(scene.command.split(), kill=Kill(scene.output, moment))
        where = f"{name}, {run.status} {moment:.3f} s after it began to write"
        if originals(root, scene) != known.originals:
            yield f"{where}: an original has changed"
        for key, digest in results(root, scene).items():
            if Path(key).suffix in PICTURES and digest != known.results.get(key, digest):
                yield f"{where}: {key} is torn"
        again = laboratory.run(scene.command.split())
        if again.status not in scene.statuses:
            yield f"{where}: the same command ends with {again.status}: {again.stderr[-200:]}"
        elif (found := results(root, scene)) != known.results:
            both = found | known.results
            wrong = {key for key in both if found.get(key) != known.results.get(key)}
            yield f"{where}: the resumed run differs in {sorted(wrong)[:4]}"
        shutil.rmtree(root / scene.output, ignore_errors=True)
