"""Run commands in a store whose n-th call fails or falls short, and check what is left there.

The store is fsspec's in memory; its methods are replaced by ones that count their calls.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.attack.faults import VOLATILE
from tests.attack.scenes import MACHINE_WORDS

KINDS = ("find", "info", "isfile", "get_file", "cat_file")
KINDS += ("put_file", "pipe_file", "cp_file", "rm_file")
SHORTENED = {"get_file", "cat_file", "put_file", "pipe_file"}
"""Kinds whose calls can do half of what they were asked for, and not say so."""
TRIES = 3
Outcome = tuple[int, str, str]
"""Exit status, standard output, standard error."""


@dataclass(frozen=True)
class StoreFault:
    """Which call fails, and how."""

    kind: str
    number: int
    error: str
    """``reset``, ``denied`` or ``short``."""
    times: int = 1
    """So many calls, one after the other."""

    def __str__(self) -> str:
        return f"{self.kind} {self.number}: {self.error}, {self.times} times"


def faults_of(calls: Counter[str]) -> Iterator[StoreFault]:
    """Yield faults of every call of each kind: those that pass, and those that stay.

    Args:
        calls: How many there are in an undisturbed run.
    """
    for kind in KINDS:
        for number in range(1, calls[kind] + 1):
            yield StoreFault(kind, number, "reset")
            yield StoreFault(kind, number, "reset", TRIES)
            yield StoreFault(kind, number, "denied")
            if kind in SHORTENED:
                yield StoreFault(kind, number, "short", TRIES)


@dataclass
class Faulty:
    """Counts the calls of a file system, and lets some of them fail.

    Calls that the methods make of one another are not counted.
    """

    fault: StoreFault | None = None
    calls: Counter[str] = field(default_factory=Counter)
    _inside: bool = False

    def fit(self, system: Any, patch: pytest.MonkeyPatch) -> None:
        """Replace the methods of a file system's class."""
        for kind in KINDS:
            patch.setattr(type(system), kind, self._counting(kind, getattr(type(system), kind)))

    def _counting(self, kind: str, honest: Callable[..., Any]) -> Callable[..., Any]:
        def method(system: Any, *arguments: Any, **more: Any) -> Any:
            if self._inside:
                return honest(system, *arguments, **more)
            self.calls[kind] += 1
            due, self._inside = self._error(kind), True
            try:
                if due == "reset":
                    raise ConnectionError("reset by peer")
                if due == "denied":
                    raise PermissionError("Access Denied")
                return (
                    honest(system, *arguments, **more)
                    if due is None
                    else short(kind, honest, system, *arguments, **more)
                )
            finally:
                self._inside = False

        return method

    def _error(self, kind: str) -> str | None:
        fault = self.fault
        if fault is None or fault.kind != kind:
            return None
        past = self.calls[kind] - fault.number
        return fault.error if 0 <= past < fault.times else None


def short(kind: str, honest: Callable[..., Any], system: Any, *arguments: Any, **more: Any) -> Any:
    """Do half of what a call was asked for."""
    if kind == "cat_file":
        data = honest(system, *arguments, **more)
        return data[: len(data) // 2]
    if kind == "pipe_file":
        place, data = arguments
        return honest(system, place, data[: len(data) // 2])
    source, target = arguments
    honest(system, source, target, **more)
    if kind == "put_file":
        data = system.cat_file(target)
        system.pipe_file(target, data[: len(data) // 2])
    else:
        with open(target, "r+b") as file:  # noqa: PTH123
            file.truncate(len(file.read()) // 2)
    return None


@dataclass(frozen=True)
class StoreScene:
    """A command, and what has to be there before it."""

    command: str
    before: tuple[str, ...] = ()
    """Commands."""
    status: int = 0
    again: int = 0
    """Exit status of the same command when all is done."""


def content(system: Any) -> dict[str, Any]:
    """Return what a run has left, of records what time and other objects do not decide."""
    found = {name.removeprefix("/a/out/"): system.cat_file(name) for name in system.find("/a/out")}
    return {
        name: steady(data) if name == "manifest.jsonl" else data
        for name, data in found.items()
        if not name.startswith(".")
    }


def steady(data: bytes) -> dict[str, Any]:
    """Return the last line of each photo of a record, without what differs from run to run."""
    lines = map(json.loads, data.decode().splitlines())
    return {line["key"]: _steady(line) for line in lines if "key" in line}


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in VOLATILE | {"stored"}}
    return [_steady(v) for v in value] if isinstance(value, list) else value


def trial(
    system: Any,
    faulty: Faulty,
    scene: StoreScene,
    run: Callable[..., Outcome],
    expected: dict[str, Any],
    fault: StoreFault,
) -> Iterator[str]:
    """Run a scene with a fault and once more without; yield what is wrong, if anything."""
    originals = start(system, scene, run)
    faulty.fault, faulty.calls = fault, Counter()
    status, _, said = run(*scene.command.split())
    faulty.fault = None
    if status not in range(5) or any(word in said for word in MACHINE_WORDS):
        yield f"exit status {status}: {said.strip()[-300:]}"
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    if status == 4 and not 1 <= len(errors) <= 4:  # at most one a photo, and why it ended
        yield f"not one line: {said.strip()[-300:]}"
    if status == 0 and fault.error == "reset" and fault.times < TRIES and errors:
        yield "was not tried again"
    left = content(system)
    for name, data in left.items():
        whole = data == expected.get(name)
        if name == "manifest.jsonl":  # a photo may have failed, then it says so
            lines = expected[name]
            whole = all(
                line == lines[key] or line["status"] == "failed" for key, line in data.items()
            )
        if not whole and name != "report.html":  # which shows what has failed
            yield f"{name} is torn"
    again = [status] if left == expected and status == scene.status else []
    status, _, said = run(*scene.command.split())
    if status not in (scene.status, scene.again if again else scene.status):
        yield f"the same command does not go on: {status} {said.strip()[-300:]}"
    resumed = content(system)
    different = {k for k in resumed | expected if resumed.get(k) != expected.get(k)}
    if different:
        yield f"the resumed run differs in {sorted(different)[:4]}"
    if hidden := [n for n in system.find("/a/out") if n.startswith("/a/out/.f")]:
        yield f"is left: {hidden[:2]}"
    if {n: system.cat_file(n) for n in system.find("/a/in")} != originals:
        yield "an original has changed"


def start(system: Any, scene: StoreScene, run: Callable[..., Outcome]) -> dict[str, bytes]:
    """Empty the output, and do what has to be there; return the originals."""
    for name in system.find("/a/out"):
        system.rm_file(name)
    for command in scene.before:
        assert run(*command.split())[0] == 0
    return {name: system.cat_file(name) for name in system.find("/a/in")}


RESTORE = "restore memory://a/in -o memory://a/out --aligned --model net.safetensors --ensemble off"
DEGRADE = "degrade memory://a/in -o memory://a/out --task full --size 64 --workers 1"
SCENES = {
    "restore": StoreScene(f"{RESTORE} --no-report"),
    "page": StoreScene(RESTORE),
    "degrade": StoreScene(DEGRADE),
    "merge": StoreScene(
        "degrade --merge memory://a/out",
        (f"{DEGRADE} --shard 0/2", f"{DEGRADE} --shard 1/2"),
        again=2,
    ),
}
