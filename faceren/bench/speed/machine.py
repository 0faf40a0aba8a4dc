"""What a figure of speed depends on beside the network, fresh processes, and peaks of memory."""

import multiprocessing
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch

import faceren
from faceren.checks import Json
from faceren.inference import Restorer


def machine(restorer: Restorer) -> Json:
    """Return device, number type, threads and versions."""
    gpu = restorer.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(restorer.device) if gpu else processor(),
        "kind": restorer.device.type,
        "dtype": str(restorer.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "faceren": faceren.__version__,
        "commit": commit(),
        "weights_sha256": restorer.checkpoint.sha256,
    }


def processor() -> str:
    """Return the name of this machine's processor, as well as the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(errors="replace").splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str | None:
    """Return the git commit that the package runs from; None if it is installed."""
    root = Path(faceren.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git here
        return None
    return found.stdout.strip() or None


@contextmanager
def fresh_process() -> Iterator[ProcessPoolExecutor]:
    """Start one process that shares nothing with this one; it ends with the context."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        yield process


def peak_mb() -> float | None:
    """Return the most memory of this process, in 10^6 bytes; None where it cannot be told."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
        return int(kilobytes) * 1024 / 1e6
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return None
