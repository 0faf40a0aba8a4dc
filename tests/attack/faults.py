"""Run commands while the n-th write, sync, rename, read, … fails, and check what is left behind.

A small library (``faults.c``) is compiled and preloaded; each trial is a forked child of one
process that has imported everything, so that a trial costs a second, not the import of torch.
"""

import contextlib
import ctypes
import errno
import hashlib
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

KINDS = ("write", "fsync", "rename", "read", "mkdir", "unlink", "open")
SHORT = -1
"""In place of an error: the call does half of what it was asked for."""
ERRORS = {
    "write": (errno.EIO, errno.ENOSPC, SHORT),
    "fsync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EACCES, errno.EROFS),
    "read": (errno.EIO, SHORT),
    "mkdir": (errno.EACCES, errno.ENOSPC),
    "unlink": (errno.EACCES,),
    "open": (errno.EACCES, errno.EIO),
}
VOLATILE = {"ms", "seconds"}
KILLED = '{"status": -9, "stderr": "", "calls": {}}'
IMPORTED = (
    *("faceren.cli", "faceren.commands.evaluate", "faceren.commands.restore"),
    *("faceren.commands.train", "faceren.commands.degrade", "faceren.bench.benchmark"),
    *("faceren.restoration.pipeline", "faceren.bench.output.page", "faceren.pages.pictures"),
    *("dlib", "imagecodecs", "lightning_fabric", "torch.utils.tensorboard", "torch.utils._sympy"),
    *("matplotlib.backends.backend_agg", "matplotlib.pyplot", "pywt", "scipy.optimize"),
    *("skimage.color", "skimage.restoration._denoise", "imagecodecs._png", "PIL.PpmImagePlugin"),
    *("onnxruntime", "pydantic.types", "pydantic.type_adapter", "rich.progress"),
    *("faceren.pages.tables", "faceren.bench.output.report"),
)
"""What trials need, imported once by the process that they are forked from."""


@dataclass(frozen=True)
class Fault:
    """Which call fails, and how."""

    kind: str
    number: int
    error: int
    stays: bool = False
    """Whether all calls after it fail, too, as on a disk that is full."""

    def __str__(self) -> str:
        how = "short" if self.error == SHORT else errno.errorcode[self.error]
        return f"{self.kind} {self.number}{'+' if self.stays else ''}: {how}"


@dataclass(frozen=True)
class Kill:
    """When a run is killed."""

    output: str
    """What it begins to write; to kill it before would prove little."""
    seconds: float
    """After that is there."""


@dataclass(frozen=True)
class Trial:
    """What a run with a fault did."""

    status: int
    stderr: str
    calls: dict[str, int]


def compiled(folder: Path) -> Path | None:
    """Return the library, built into a folder; None without a C compiler or on another system."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "faults.so"
    source = Path(__file__).with_name("faults.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Laboratory:
    """A process with the library preloaded that runs trials, one forked child each.

    Args:
        library: From ``compiled``.
        root: Only calls on files below this folder can fail.
    """

    def __init__(self, library: Path, root: Path) -> None:
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "OMP_NUM_THREADS": "1",
            "FACEREN_DEVICE": "cpu",
            "NO_COLOR": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.attack.faults", str(library), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
            text=True,
        )

    def run(
        self, arguments: Sequence[str], fault: Fault | None = None, kill: Kill | None = None
    ) -> Trial:
        """Run a command line of faceren, in the root folder.

        Args:
            arguments: Of the command line.
            fault: What goes wrong.
            kill: When the process is killed; the trial's status is -9 then.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "arguments": list(arguments),
            "fault": fault and asdict(fault),
            "kill": kill and asdict(kill),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Trial(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=300)
        self._process.stdout.close()


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder, of manifests without what time decides."""
    return {
        path.relative_to(folder).as_posix(): _hash(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines(manifest: Path) -> dict[str, dict[str, object]]:
    """Return the last line of each item of a manifest, without what time decides."""
    found = {}
    for text in manifest.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # the last one, torn
            continue
        if "input" in line:
            found[line.get("key") or line["output"]] = _steady(line)
    return found


def _steady(value: object) -> object:
    if isinstance(value, dict):
        return {k: _steady(v) for k, v in value.items() if k not in VOLATILE}
    return [_steady(v) for v in value] if isinstance(value, list) else value


def _hash(path: Path) -> str:
    if path.name == "manifest.jsonl":
        return hashlib.sha256(json.dumps(lines(path), sort_keys=True).encode()).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def faults_of(calls: dict[str, int], *, every: int = 1) -> Iterator[Fault]:
    """Yield a fault for every ``every``-th call of each kind, with each error in turn."""
    for kind in KINDS:
        for number in range(1, calls[kind] + 1, every):
            for error in ERRORS[kind]:
                yield Fault(kind, number, error)
            if kind == "write" and number % 3 == 1:
                yield Fault(kind, number, errno.ENOSPC, stays=True)


def _serve(library: str, root: str) -> None:
    """Read orders from standard input; fork a child for each, and write what it did."""
    import faceren.cli

    for name in IMPORTED:
        with contextlib.suppress(ImportError):  # of what is optional
            importlib.import_module(name)
    shim = ctypes.CDLL(library)
    shim.calls.restype = ctypes.c_long
    for text in sys.stdin:
        order = json.loads(text)
        fault = Fault(**order["fault"]) if order["fault"] else Fault("write", 0, errno.EIO)
        reader, writer = os.pipe()
        if child := os.fork():
            os.close(writer)
            if order["kill"]:
                _kill(child, Kill(**order["kill"]), Path(root))
            with os.fdopen(reader) as pipe:
                answer = pipe.read()
            with contextlib.suppress(ChildProcessError):  # it has ended and was waited for
                os.waitpid(child, 0)
            print(answer or KILLED, flush=True)
            continue
        os.close(reader)
        os.setsid()  # so that it can be killed with all that it has started
        os.chdir(root)
        told = io.StringIO()
        sys.argv = ["faceren", *order["arguments"]]
        kind = KINDS.index(fault.kind)
        status = 99
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            number = ctypes.c_long(fault.number)
            shim.arm(root.encode(), kind, number, fault.error, int(fault.stays))
            try:
                faceren.cli.main()
            except SystemExit as stopped:
                status = stopped.code if isinstance(stopped.code, int) else 0
            except BaseException:
                traceback.print_exc()
            counts = {name: shim.calls(index) for index, name in enumerate(KINDS)}
            shim.disarm()
        answer = {"status": status, "stderr": told.getvalue(), "calls": counts}
        with os.fdopen(writer, "w") as pipe:
            pipe.write(json.dumps(answer))
        os._exit(0)


def _kill(child: int, kill: Kill, root: Path) -> None:
    """Kill a process and its group in time, if it does not end before."""
    end = float("inf")
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        if end == float("inf") and (root / kill.output).exists():
            end = time.monotonic() + kill.seconds
        time.sleep(0.001)
    os.killpg(child, signal.SIGKILL)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
