"""Options that several commands share, each named once."""

from pathlib import Path
from typing import Annotated

from typer import Option

Device = Annotated[
    str, Option(envvar="FACEREN_DEVICE", help="auto, cpu, cuda, cuda:N or mps.", metavar="DEVICE")
]
Precision = Annotated[
    str, Option(envvar="FACEREN_PRECISION", help="auto, fp32, bf16 or fp16.", metavar="TYPE")
]
BatchSize = Annotated[
    str, Option(envvar="FACEREN_BATCH_SIZE", help="Faces a pass, or auto.", metavar="N")
]
Workers = Annotated[
    int, Option(envvar="FACEREN_WORKERS", min=0, help="Helpers beside the network; 0 is automatic.")
]
Seed = Annotated[int, Option(envvar="FACEREN_SEED", min=0, help="Seed of all randomness.")]
Quiet = Annotated[bool, Option("--quiet", "-q", envvar="FACEREN_QUIET", help="Errors only.")]
Json = Annotated[bool, Option("--json", help="One JSON object a photo on stdout.")]
Output = Annotated[Path, Option("--output", "-o", envvar="FACEREN_OUTPUT", help="Output folder.")]
MaxPixels = Annotated[
    int | None, Option(envvar="FACEREN_MAX_PIXELS", min=1, help="Refuse images of more pixels.")
]
