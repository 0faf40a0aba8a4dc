"""The long form of the attack, by hand.

``python -m tests.attack --minutes 60 --record FOLDER`` feeds every parser for so long and goes on
where an earlier run with that folder stopped, as does ``--faults``, which lets every call of small
runs fail once, in each way; ``--kills 200`` kills runs at random moments.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.attack.faults import Laboratory, compiled, faults_of
from tests.attack.fuzz import Record, again, fuzz, table
from tests.attack.kills import killed
from tests.attack.pictures import PICTURES, WHOLE
from tests.attack.scenes import SCENES, prepare, trial, undisturbed
from tests.attack.targets import TARGETS


def long_form(minutes: float, names: Sequence[str], folder: Path) -> int:
    """Feed these targets; print a table, return how many inputs go wrong still."""
    targets, record = TARGETS | PICTURES, Record(folder)
    chosen = {name: targets[name] for name in names or targets}
    for found in fuzz(chosen, WHOLE, record, minutes):
        print(found, flush=True)
    still = list(again(targets, record))
    print("\n".join([table(record), *(f"still wrong: {words}" for words in still)]))
    return len(still)


@contextmanager
def laboratory_of_its_own() -> Iterator[tuple[Laboratory, Path]]:
    """Yield a laboratory and its root folder, which is empty."""
    with tempfile.TemporaryDirectory() as place:
        library, root = compiled(Path(place)), Path(place, "root")
        if library is None:
            raise SystemExit("needs a C compiler and Linux")
        root.mkdir()
        laboratory = Laboratory(library, root)
        yield laboratory, root
        laboratory.close()


def all_faults(names: Sequence[str], every: int, record: Path) -> int:
    """Try every fault of these scenes; print a table, return how many went wrong.

    Args:
        names: Scenes.
        every: 1 for all calls, 2 for every second one.
        record: A file of what went well already, which is not tried again; a line each.
    """
    well = set(record.read_text().splitlines()) if record.exists() else set()
    table: list[tuple[str, int, int]] = []
    with laboratory_of_its_own() as (laboratory, root):
        prepare(root)
        for name in names:
            expected = undisturbed(laboratory, root, SCENES[name])
            print(f"{name}: {expected.calls}", flush=True)
            count = bad = 0
            for fault in faults_of(expected.calls, every=every):
                count, told = count + 1, f"{name}, {fault}"
                if told in well:
                    continue
                problems = list(trial(laboratory, root, SCENES[name], expected, fault))
                bad += len(problems)
                for wrong in problems:
                    print(f"{told}: {' '.join(wrong.split())[:400]}", flush=True)
                if not problems:
                    with record.open("a") as file:
                        file.write(f"{told}\n")
            table.append((name, count, bad))
    print(f"{'scene':<12} {'faults':>8} {'wrong':>6}")
    for row in table:
        print(f"{row[0]:<12} {row[1]:>8,} {row[2]:>6}")
    return sum(row[2] for row in table)


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--targets", default="")
    parser.add_argument("--record", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", nargs="?", const=",".join(SCENES), default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0)
    asked = parser.parse_args()
    wrong = 0
    record = asked.record or Path(tempfile.mkdtemp(prefix="attack-"))
    print(f"what is done is written down in {record}", flush=True)
    record.mkdir(parents=True, exist_ok=True)
    if asked.minutes is not None:
        names = [name for name in asked.targets.split(",") if name]
        wrong += long_form(asked.minutes, names, record)
    if asked.faults:
        wrong += all_faults(asked.faults.split(","), asked.every, record / "faults.txt")
    if asked.kills:
        with laboratory_of_its_own() as (laboratory, root):
            for problem in killed(laboratory, root, asked.kills, asked.seed):
                print(problem, flush=True)
                wrong += 1
        print(f"{asked.kills} kills")
    raise SystemExit(min(wrong, 1))


if __name__ == "__main__":
    main()
