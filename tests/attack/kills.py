"""kill -9 at random moments: what is there is whole, and the same command goes on."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.attack.scenes import SCENES, Scene, originals, prepare, results

PICTURES = (".png", ".jpg", ".tif")
KILLED = ("restore", "degrade", "train")


def run(root: Path, scene: Scene, *, after: float | None = None) -> int:
    """Run a scene in a process of its own, in its group; kill that after so many seconds.

    Returns:
        The exit status; -9 if it was killed.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FACEREN_DEVICE": "cpu", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-m", "faceren", *scene.command.split()],
        cwd=root,
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    if after is not None:
        _wait_for(root / scene.output, process)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _wait_for(output: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a run has begun to write: killing the import of torch would prove little."""
    while process.poll() is None and not output.exists():
        time.sleep(0.005)


def killed(place: Path, count: int, seed: int, names: Sequence[str] = KILLED) -> Iterator[str]:
    """Kill runs of each scene in turn; yield what is wrong, if anything.

    Args:
        place: An empty folder.
        count: How many kills.
        seed: Of the moments.
        names: Scenes.
    """
    draw = random.Random(seed)
    prepare(place)
    spans, expected, before = {}, {}, {}
    for name in names:
        scene = SCENES[name]
        began = time.monotonic()
        assert run(place, scene, after=1000) in scene.statuses
        spans[name] = time.monotonic() - began
        expected[name] = results(place, scene)
        shutil.rmtree(place / scene.output)
        before[name] = originals(place, scene)
    for number in range(count):
        name = names[number % len(names)]
        scene = SCENES[name]
        moment = draw.uniform(0, 0.3 * spans[name])
        run(place, scene, after=moment)
        where = f"{name}, killed {moment:.3f} s after it began to write"
        if originals(place, scene) != before[name]:
            yield f"{where}: an original has changed"
        for key, digest in results(place, scene).items():
            if Path(key).suffix in PICTURES and digest != expected[name].get(key, digest):
                yield f"{where}: {key} is torn"
        status = run(place, scene)
        if status not in scene.statuses:
            yield f"{where}: the same command ends with {status}"
        elif results(place, scene) != expected[name]:
            again = results(place, scene)
            wrong = {k for k in again | expected[name] if again.get(k) != expected[name].get(k)}
            yield f"{where}: the resumed run differs in {sorted(wrong)[:4]}"
        shutil.rmtree(place / scene.output, ignore_errors=True)
