"""Reading other people's files of weights without running anything in them."""

import pickle
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from faceren.errors import MachineError

DAMAGED = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    BufferError,
    ImportError,
    MemoryError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the restricted unpickler raises on bytes that are no pickle of tensors."""
UNREADABLE = (SafetensorError, OSError, RuntimeError)
"""What safetensors raises; a RuntimeError where torch cannot map the file, if the disk fails."""


def load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``.safetensors`` file.

    Raises:
        MachineError: If it is damaged, or cannot be read.
    """
    try:
        return dict(load_file(path))
    except UNREADABLE as error:
        raise MachineError(f"{path} cannot be read as tensors ({error}); is it damaged?") from error


def load_tensors(path: Path) -> object:
    """Return what a pickled file holds, if that is nothing but tensors, numbers and containers.

    Raises:
        MachineError: If it is damaged, or holds anything that would have to be run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on unusual pickle protocols
            _check_archive(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise MachineError(
            f"{path} cannot be read as plain tensors ({lines[0]}); it is damaged, or holds code, "
            f"which is never run"
        ) from error


def _check_archive(path: Path) -> None:
    """Raise ValueError if what is in the file would be larger than it: tensors are stored."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = sum(item.file_size for item in archive.infolist())
        if inside > path.stat().st_size:
            raise ValueError(f"{inside:,} bytes are packed into it")
