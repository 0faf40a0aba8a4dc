"""What a figure of speed depends on beside the network."""

import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import faceren
from faceren.inference import Restorer


def machine(restorer: Restorer) -> dict[str, Any]:
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
