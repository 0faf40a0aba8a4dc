"""Every check of a GPU, at most three minutes on one of a data centre: ``python -m tests.gpu``.

``--device cpu --small`` tries the checks themselves where there is none.
"""

import argparse
import sys
import time

import torch

from faceren.errors import FacerenError
from tests.gpu.checks import CHECKS, Scale


def main(arguments: list[str]) -> int:
    """Run the checks, print a line each; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu")
    parser.add_argument("--small", action="store_true", help="small sizes, no goals of speed")
    parser.add_argument("--only", default="", help="checks whose names have this in them")
    given = parser.parse_args(arguments)
    scale = Scale(given.device, given.small)
    if scale.device.startswith("cuda") and not torch.cuda.is_available():
        print("torch sees no CUDA device here; --device cpu --small tries the checks without one")
        return 4
    status, start = 0, time.perf_counter()
    for check in CHECKS:
        if given.only not in check.__name__:
            continue
        began = time.perf_counter()
        try:
            told = check(scale)
        except (AssertionError, FacerenError, RuntimeError) as error:  # torch's are of the last
            status, told = 1, f"FAILED: {error}"
        seconds = time.perf_counter() - began
        print(f"{check.__name__.replace('_', ' ')} ({seconds:.1f} s): {told}", flush=True)
    print(f"{time.perf_counter() - start:.0f} s in all")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
