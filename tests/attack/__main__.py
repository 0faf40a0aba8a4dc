"""The long form of the attack, by hand.

``python -m tests.attack --minutes 60`` feeds every parser for so long; ``--faults`` lets every
call of small runs fail once, in each way; ``--kills 200`` kills runs at random moments.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.attack.faults import Laboratory, compiled, faults_of
from tests.attack.kills import killed
from tests.attack.scenes import SCENES, prepare, trial, undisturbed
from tests.attack.targets import TARGETS

ROUND = 500
"""Executions between two looks at the clock."""


def fed(name: str, number: int) -> tuple[int, str]:
    """Run a round of one target; return its executions, and what was found."""
    target, count = TARGETS[name], 0

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.fed)
    def whatever(data: bytes) -> None:
        nonlocal count
        count += 1
        with tempfile.TemporaryDirectory() as folder:
            target.read(data, Path(folder))

    try:
        whatever()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return count, f"{type(error).__name__}: {str(error)[:300]} seed {number}"
    return count, ""


def fuzz(minutes: float, names: Sequence[str], start: int) -> int:
    """Feed every target in turn until the time is over; print a table, return what was found."""
    executions: Counter[str] = Counter()
    found: Counter[str] = Counter()
    end, number = time.monotonic() + 60 * minutes, start
    while time.monotonic() < end:
        for name in names:
            count, problem = fed(name, number)
            executions[name] += count
            if problem:
                found[name] += 1
                print(f"{name}: {problem}", flush=True)
        number += 1
    print(f"{'target':<12} {'executions':>12} {'found':>6}")
    for name in names:
        print(f"{name:<12} {executions[name]:>12,} {found[name]:>6}")
    print(f"{'all':<12} {executions.total():>12,} {found.total():>6}")
    return found.total()


def all_faults(names: Sequence[str], every: int) -> int:
    """Try every fault of these scenes; print a table, return how many went wrong."""
    table: list[tuple[str, int, int]] = []
    with tempfile.TemporaryDirectory() as place:
        library, root = compiled(Path(place)), Path(place, "root")
        if library is None:
            print("needs a C compiler and Linux")
            return 1
        root.mkdir()
        prepare(root)
        laboratory = Laboratory(library, root)
        for name in names:
            expected = undisturbed(laboratory, root, SCENES[name])
            print(f"{name}: {expected.calls}", flush=True)
            count = bad = 0
            for fault in faults_of(expected.calls, every=every):
                count += 1
                for wrong in _problems(trial(laboratory, root, SCENES[name], expected, fault)):
                    bad += 1
                    print(f"{name}, {fault}: {wrong}", flush=True)
            table.append((name, count, bad))
        laboratory.close()
    print(f"{'scene':<12} {'faults':>8} {'wrong':>6}")
    for row in table:
        print(f"{row[0]:<12} {row[1]:>8,} {row[2]:>6}")
    return sum(row[2] for row in table)


def _problems(found: Iterator[str]) -> list[str]:
    return [" ".join(text.split())[:400] for text in found]


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", nargs="?", const=",".join(SCENES), default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0)
    asked = parser.parse_args()
    wrong = 0
    if asked.minutes:
        wrong += fuzz(asked.minutes, asked.targets.split(","), asked.seed)
    if asked.faults:
        wrong += all_faults(asked.faults.split(","), asked.every)
    if asked.kills:
        with tempfile.TemporaryDirectory() as place:
            problems = list(killed(Path(place), asked.kills, asked.seed))
        print("\n".join(problems) or f"{asked.kills} kills, nothing found")
        wrong += len(problems)
    raise SystemExit(min(wrong, 1))


if __name__ == "__main__":
    main()
