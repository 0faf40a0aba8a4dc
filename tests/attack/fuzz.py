"""The long form of the parsers' test: inputs changed at random, by the million.

Hypothesis makes inputs of the right shape, but takes ten times as long for one as a parser takes
to read it. So each round lets it make some, and changes those many times over. A round is a forked
process: one that dies or hangs is a finding as well. All is written down in a folder, by which a
run can go on where an earlier one stopped.
"""

import hashlib
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import struct
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.attack.targets import Target

DRAWN = 60
"""Inputs of a round that hypothesis makes."""
ROUND_SECONDS = 4.0
SLOW = 5.0
"""Seconds of processor time that no input may take."""
HUNG = 90.0
"""Seconds after which a process that still reads the same input is killed."""
MUCH = 1_500_000
"""KiB by which one input may raise the most memory that the process ever had."""
NUMBERS = (0, 1, 2, 127, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)
WORDS = (
    b"null true false -1 0 1e400 -1e400 NaN 1e-400 99999999999999999999 0.5 [] {} [[]] "
    b'"" "." ".." "../a" "/etc/passwd" "\\ud800" "\\u0000" "\\x9b" ~ !!python/object:os.system'
).split()
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[\[\]{},:]')


def drawn(strategy: st.SearchStrategy[bytes], count: int, number: int) -> list[bytes]:
    """Return inputs of a strategy."""
    found: list[bytes] = []

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def take(data: bytes) -> None:
        found.append(data)

    take()
    return found


def mutated(data: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """Return an input after up to six changes, one time in twelve as it is.

    Args:
        data: The input.
        others: What parts may be taken of.
        draw: Decides.
    """
    if draw.random() < 1 / 12:
        return data
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 4, 6))):
        # headers are short and stand at the start: half of all changes hit the first bytes
        span = len(data) if draw.random() < 0.5 else min(len(data), 96)
        at = draw.randrange(span + 1)
        size = draw.choice((1, 1, 2, 4, 8, 24, 100))
        match draw.randrange(10):
            case 0:
                new = bytes([data[at] ^ (1 << draw.randrange(8))]) if at < len(data) else b"\0"
                data = data[:at] + new + data[at + 1 :]
            case 1:
                data = data[:at] + draw.randbytes(size) + data[at + size :]
            case 2:
                order = draw.choice(("<H", ">H", "<I", ">I"))
                top = 2**16 if order[1] == "H" else 2**32
                new = struct.pack(order, draw.choice(NUMBERS) % top)
                data = data[:at] + new + data[at + len(new) :]
            case 3:
                data = data[:at] + data[at + size :]
            case 4:
                data = data[:at] + data[at : at + size] * draw.choice((2, 2, 3, 50)) + data[at:]
            case 5:
                data = data[:at] + draw.randbytes(size) + data[at:]
            case 6:
                other = draw.choice(others)
                start = draw.randrange(len(other) + 1)
                data = data[:at] + other[start : start + 8 * size] + data[at + size :]
            case 7:
                data = data[:at] if draw.random() < 0.3 else data[:at] + data[at + 4 * size :]
            case _:
                data = _other_token(data, draw)
    return data[:300_000]


def _other_token(data: bytes, draw: random.Random) -> bytes:
    """Return a text with one of its words or signs replaced, one of bytes with a word put in."""
    found = [match.span() for match in TOKEN.finditer(data[:4000])]
    start, end = draw.choice(found) if found else (0, 0)
    if draw.random() < 0.2 and found:
        other = draw.choice(found)
        return data[:start] + data[other[0] : other[1]] + data[end:]
    return data[:start] + draw.choice(WORDS) + data[end:]


@dataclass
class Count:
    """What one target has been through."""

    executions: int = 0
    seconds: float = 0.0
    rounds: int = 0
    found: dict[str, str] = field(default_factory=dict)
    """What went wrong, in short, by the name of the file that holds the input."""


class Record:
    """The folder of a long run: executions of each target, and every input that went wrong.

    Args:
        folder: Made if it is not there; continued if it is.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "executions.json"
        self.inputs = folder / "inputs"
        self.inputs.mkdir(parents=True, exist_ok=True)
        known = json.loads(self._file.read_text()) if self._file.exists() else {}
        self.counts = {name: Count(**values) for name, values in known.items()}

    def save(self) -> None:
        """Write the numbers."""
        text = json.dumps({name: asdict(count) for name, count in self.counts.items()}, indent=1)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self._file)

    def add(self, name: str, data: bytes, problem: str) -> bool:
        """Keep an input that went wrong; say whether it is the first that did so in this way."""
        count = self.counts[name]
        kind = " ".join(problem.split())[:300]
        if kind in count.found.values():
            return False
        file = f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
        (self.inputs / file).write_bytes(data)
        (self.inputs / f"{file}.txt").write_text(problem)
        count.found[file] = kind
        return True


def went_wrong(target: Target, data: bytes, folder: Path) -> str:
    """Run one input in a folder of its own; return what is wrong with that, if anything.

    Args:
        target: What reads it.
        data: The input.
        folder: An empty folder, or none; it is removed.
    """
    work = folder / "work"
    work.mkdir(parents=True)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        target.read(data, work)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _in_short(error)
    finally:
        outside = [path.name for path in folder.iterdir() if path != work]
        shutil.rmtree(folder)
    if outside:
        return f"wrote outside: {outside}"
    if (seconds := time.process_time() - began) > SLOW:
        return f"slow: {seconds:.0f} s"
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return f"memory: {more // 1024} MiB more" if more > MUCH else ""


def _in_short(error: BaseException) -> str:
    """Return the kind of an error and where it was raised: the same fault has the same words."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/faceren/" in frame.filename] or list(frames)
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}"
    text = str(error) or str(error.__context__ or "")  # of an assertion: on what it was made
    words = re.sub(r"\d+|'[^']*'|\"[^\"]*\"|\S*/\S*", "_", text)[:120]
    return f"{type(error).__name__} at {where}: {words!r}"


def _round(
    target: Target, starts: Sequence[bytes], number: int, folder: Path, pipe: int
) -> None:  # pragma: no cover - in a process of its own
    """Feed a target for some seconds; write what happened to a pipe."""
    draw = random.Random(number)
    pool = [*starts, *drawn(target.fed, DRAWN, number)]
    count, found = 0, []
    end = time.monotonic() + ROUND_SECONDS
    current = folder / "input"
    while time.monotonic() < end:
        data = mutated(draw.choice(pool), pool, draw)
        current.write_bytes(data)
        count += 1
        (folder / "count").write_text(str(count)) if count % 100 == 0 else None
        if problem := went_wrong(target, data, folder / "ring"):
            found.append((data.hex(), problem))
            if len(found) > 20:
                break
    with os.fdopen(pipe, "w") as file:
        json.dump({"count": count, "found": found}, file)


def _watched(
    target: Target, starts: Sequence[bytes], number: int, folder: Path
) -> tuple[int, list[tuple[bytes, str]]]:
    """Run a round in a process of its own; return its executions and what was found."""
    reader, writer = os.pipe()
    if not (child := os.fork()):  # pragma: no cover
        os.close(reader)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        try:
            _round(target, starts, number, folder, writer)
        finally:
            os._exit(1)
    os.close(writer)
    answer, current, died = b"", folder / "input", "died"
    while True:
        if select.select([reader], [], [], 5)[0]:
            if not (part := os.read(reader, 2**20)):
                break
            answer += part
        elif current.exists() and time.time() - current.stat().st_mtime > HUNG:
            died = "hung"
            os.kill(child, signal.SIGKILL)
    os.close(reader)
    _, status = os.waitpid(child, 0)
    if answer:
        told = json.loads(answer)
        return told["count"], [(bytes.fromhex(data), problem) for data, problem in told["found"]]
    counted = folder / "count"
    count = int(counted.read_text()) if counted.exists() else 1
    data = current.read_bytes() if current.exists() else b""
    return count, [(data, f"{died}: wait status {status}")]


def fuzz(
    targets: Mapping[str, Target],
    starts: Mapping[str, Sequence[bytes]],
    record: Record,
    minutes: float,
) -> Iterator[str]:
    """Feed every target in turn until the time is over, always that with the fewest seconds.

    Args:
        targets: By their names.
        starts: Whole files to begin with, by target.
        record: Where it is written down; a run goes on from there.
        minutes: How long.

    Yields:
        What was found, as it is.
    """
    end = time.monotonic() + 60 * minutes
    for name in targets:
        record.counts.setdefault(name, Count())
    while time.monotonic() < end:
        name = min(targets, key=lambda name: record.counts[name].seconds)
        count, began = record.counts[name], time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fuzz") as place:
            executions, found = _watched(
                targets[name], starts.get(name, ()), 1000 * count.rounds + len(name), Path(place)
            )
        count.executions += executions
        count.seconds += time.monotonic() - began
        count.rounds += 1
        for data, problem in found:
            if record.add(name, data, problem):
                yield f"{name}: {problem}"
        record.save()


def again(targets: Mapping[str, Target], record: Record) -> Iterator[str]:
    """Run every input that ever went wrong once more; yield what still does."""
    for name, count in record.counts.items():
        for file in list(count.found):
            if name not in targets:
                continue
            with tempfile.TemporaryDirectory() as place:
                data = (record.inputs / file).read_bytes()
                if problem := went_wrong(targets[name], data, Path(place, "ring")):
                    yield f"{file}: {problem}"


def table(record: Record) -> str:
    """Return executions and findings of every target."""
    rows = [f"{'target':<20} {'executions':>12} {'a second':>9} {'found':>6}"]
    for name, count in record.counts.items():
        rate = count.executions / max(count.seconds, 1e-9)
        rows.append(f"{name:<20} {count.executions:>12,} {rate:>9,.0f} {len(count.found):>6}")
    total = sum(count.executions for count in record.counts.values())
    found = sum(len(count.found) for count in record.counts.values())
    rows.append(f"{'all':<20} {total:>12,} {'':>9} {found:>6}")
    return "\n".join(rows)
