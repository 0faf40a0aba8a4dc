"""A loaded generator on a device: any size in, restored in [0, 1] out.

Shape letters: N batch, H and W pixels.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from faceren.arrays import Rgb
from faceren.checkpoint import LoadedCheckpoint, load_checkpoint
from faceren.checks import check_value, whole_number
from faceren.config import LEAST_SIDE, BaselineConfig, Ensemble
from faceren.errors import ConfigError, FaceError, MachineError, ShapeError
from faceren.networks.generator import mirrored_mean

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GPU_BATCH = 16
"""Faces a pass on a GPU if nobody says otherwise; halved when memory runs out."""


def pick_device(device: str) -> torch.device:
    """Return the device of ``auto``, ``cpu``, ``cuda``, ``cuda:n`` or ``mps``.

    Raises:
        ConfigError: If the name is none of these.
        MachineError: If this machine or this torch has no such device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = device.partition(":")
    number = whole_number(index or "0")
    if kind not in ("cpu", "cuda", "mps") or number is None:
        raise ConfigError(f"--device: expected auto, cpu, cuda, cuda:N or mps, got {device!r:.80}")
    if kind == "cuda" and number >= torch.cuda.device_count():
        raise MachineError(
            f"--device {device}: torch sees {torch.cuda.device_count()} CUDA devices here; "
            f"use --device cpu or auto"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise MachineError("--device mps: torch sees no Apple GPU here; use --device cpu or auto")
    return torch.device(device)


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the type to compute in; ``auto`` is float32 on a CPU, else half precision."""
    if precision != "auto" and precision not in DTYPES:
        raise ConfigError(f"--precision: expected auto, {', '.join(DTYPES)}, got {precision!r}")
    if precision != "auto":
        return DTYPES[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float32


NO_MEMORY = ("out of memory", "unable to find an engine", "ALLOC_FAILED")
"""What CUDA says where memory runs out, and cuDNN, which finds then no way to compute a layer."""


@dataclass
class TorchRestorer:
    """Restore faces with a loaded generator.

    On a CPU every face is a pass of its own: it costs nothing there, and the bytes of a face then
    cannot depend on its neighbours. On a GPU they are batched.
    """

    checkpoint: LoadedCheckpoint
    device: torch.device
    dtype: torch.dtype
    """What products are computed in; the weights, the image and what is added to it stay float32,
    so that half precision does not coarsen the picture itself."""
    batch_size: int
    """Most faces in one pass; falls when memory runs out."""
    self_ensemble: bool = False
    """Whether to restore the mirror image as well, and take the mean."""

    @property
    def stride(self) -> int:
        """Sides are padded to multiples of this many pixels inside ``restore``."""
        return self.checkpoint.network.stride

    @property
    def guided(self) -> bool:
        """Whether it needs a second image of each face, in channels 3 to 5."""
        config = self.checkpoint.config
        return isinstance(config, BaselineConfig) and config.guided

    @property
    def computed(self) -> str:
        """Engine, device and number type: what decides the last bits of an output."""
        names = {kind: name for name, kind in DTYPES.items()}
        return f"torch {self.device.type} {names[self.dtype]}"

    @property
    def on_cpu(self) -> bool:
        """Whether passes may run side by side, each on some of the cores."""
        return self.device.type == "cpu"

    @property
    def faces_a_pass(self) -> int:
        """Faces that go through the network together."""
        return 1 if self.on_cpu else self.batch_size

    @property
    def devices(self) -> int:
        """Passes that may run side by side, each on a device of its own."""
        return 1

    @property
    def cores(self) -> int:
        """Cores that a pass in the calling thread takes, if it runs on a CPU."""
        return torch.get_num_threads()

    def use_cores(self, number: int) -> None:
        """Let passes in the calling thread take so many cores, if they run on a CPU."""
        if self.on_cpu:
            torch.set_num_threads(number)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network runs."""
        half = self.dtype is not torch.float32
        return torch.autocast(self.device.type, self.dtype if half else None, enabled=half)

    def generate(self, faces: Tensor) -> Tensor:
        """Return what the network makes of faces (N, 3, H, W), on its device; the same shape.

        Args:
            faces: In [0, 1], on the device, sides multiples of ``stride``; the output is not
                clamped.
        """
        network = self.checkpoint.network
        with self.autocast():
            restored: Tensor = (
                mirrored_mean(network, faces) if self.self_ensemble else network(faces)
            )
        return restored

    def restore_pictures(self, pictures: Sequence[Rgb]) -> list[Rgb]:
        """Return restored pictures, (H, W, 3) each: ``restore`` for those who have no tensors.

        Args:
            pictures: All of one size, (H, W, 3).

        Raises:
            FacerenError: As ``restore``.
        """
        batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)  # (N, 3, H, W)
        restored = self.restore(batch).permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
        return [np.ascontiguousarray(picture) for picture in restored]

    def restore(self, faces: Tensor) -> Tensor:
        """Return restored faces, (N, 3, H, W) in [0, 1], on the CPU in float32.

        Args:
            faces: (N, 3, H, W), RGB in [0, 1], at least 16 pixels a side; (N, 6, H, W) with their
                guides for a guided network.

        Raises:
            ShapeError: If ``faces`` has another shape or is not finite.
            FaceError: If the network's output is not finite.
            MachineError: If even one face does not fit into memory.
        """
        channels = 6 if self.guided else 3
        if faces.ndim != 4 or faces.shape[1] != channels or min(faces.shape[2:]) < LEAST_SIDE:
            raise ShapeError(
                f"expected (N, {channels}, H, W) of {LEAST_SIDE} pixels or more, "
                f"got {tuple(faces.shape)}"
            )
        if not bool(torch.isfinite(faces).all()):
            raise ShapeError("expected finite values in [0, 1], got NaN or infinity")
        done: list[Tensor] = []
        while sum(map(len, done)) < len(faces):
            start = sum(map(len, done))
            try:
                done.append(self._pass(faces[start : start + self.faces_a_pass]))
            except RuntimeError as error:
                told = any(words in str(error) for words in NO_MEMORY)
                if not isinstance(error, torch.OutOfMemoryError) and not told:
                    raise
                if self.batch_size == 1:
                    raise MachineError(
                        f"one face of {tuple(faces.shape[2:])} pixels does not fit into the "
                        f"memory of {self.device}; use --device cpu"
                    ) from error
                self.batch_size = max(1, self.batch_size // 2)
                torch.cuda.empty_cache()
        return torch.cat(done) if done else faces

    @torch.inference_mode()
    def _pass(self, faces: Tensor) -> Tensor:
        height, width = faces.shape[2:]
        padded = _pad(faces, self.stride)
        batch = padded.to(self.device, memory_format=torch.channels_last)
        restored = self.generate(batch)[:, :, :height, :width].float().cpu()
        if not bool(torch.isfinite(restored).all()):
            raise FaceError(
                f"the network returned values that are not finite in {self.dtype}; "
                f"use --precision fp32"
            )
        return restored.clamp(0, 1)


class ManyGpus:
    """Copies of a network, each on a device of its own: a pass takes one that is free.

    Which device restores a face changes nothing of it, if the devices are of one kind.

    Args:
        restorer: The network, on the first device.
        devices: All of them, the first one among them.
    """

    on_cpu = False

    def __init__(self, restorer: TorchRestorer, devices: Sequence[torch.device]) -> None:
        others = [_copied(restorer, device) for device in devices[1:]]
        self.copies = (restorer, *others)
        self.self_ensemble = restorer.self_ensemble
        self.batch_size = restorer.batch_size
        self.checkpoint = restorer.checkpoint
        self.device = restorer.device
        self.computed = restorer.computed
        self.cores = restorer.cores
        self._free: SimpleQueue[TorchRestorer] = SimpleQueue()
        for each in self.copies:
            self._free.put(each)

    @property
    def devices(self) -> int:
        """Passes that may run side by side."""
        return len(self.copies)

    @property
    def faces_a_pass(self) -> int:
        """Faces that go through the network together."""
        return min(each.faces_a_pass for each in self.copies)

    def use_cores(self, number: int) -> None:
        """Do nothing: passes run on the devices."""

    def restore_pictures(self, pictures: Sequence[Rgb]) -> list[Rgb]:
        """Return restored pictures, (H, W, 3) each; see ``TorchRestorer.restore_pictures``.

        Args:
            pictures: All of one size, (H, W, 3).

        Raises:
            FacerenError: As ``TorchRestorer.restore``.
        """
        mine = self._free.get()  # whoever comes when none is free waits
        try:
            return mine.restore_pictures(pictures)
        finally:
            self._free.put(mine)


def _copied(restorer: TorchRestorer, device: torch.device) -> TorchRestorer:
    network = copy.deepcopy(restorer.checkpoint.network).to(device)
    return replace(
        restorer, checkpoint=replace(restorer.checkpoint, network=network), device=device
    )


def devices_of(device: str, first: torch.device) -> list[torch.device]:
    """Return the devices that ``--device`` means: all GPUs, unless one of them is named.

    Args:
        device: As the user gave it.
        first: What ``pick_device`` made of it.
    """
    if first.type != "cuda" or ":" in device:
        return [first]
    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def _pad(faces: Tensor, stride: int) -> Tensor:
    """Extend the right and bottom as ``engines.padded_to`` does, bit for bit."""
    height, width = faces.shape[2:]
    for _ in range(64):  # reflection cannot exceed the image, so small ones take several steps
        down = max(2 * stride, -(-height // stride) * stride) - faces.shape[2]
        right = max(2 * stride, -(-width // stride) * stride) - faces.shape[3]
        if down == 0 and right == 0:
            break
        step = (0, min(right, faces.shape[3] - 1), 0, min(down, faces.shape[2] - 1))
        faces = F.pad(faces, step, mode="reflect")
    return faces


def load_restorer(
    weights: Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    ensemble: Ensemble = "auto",
) -> TorchRestorer:
    """Load weights onto a device.

    Args:
        weights: A checkpoint (see ``checkpoint.load_checkpoint``).
        device: See ``pick_device``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        batch_size: Most faces a pass; default GPU_BATCH.
        ensemble: Restore mirror images, too; ``auto`` does what the checkpoint says.

    Raises:
        ConfigError: If an option is unknown or the weights do not fit their configuration.
        MachineError: If the device or the weights are not there.
    """
    check_value("--ensemble", ensemble, Ensemble)
    place = pick_device(device)
    dtype = pick_dtype(precision, place)
    checkpoint = load_checkpoint(weights)
    checkpoint.network.to(place)
    if dtype is torch.float32:
        torch.backends.cudnn.allow_tf32 = False  # else GPUs round what they multiply to ten bits
    both = checkpoint.info.self_ensemble if ensemble == "auto" else ensemble == "on"
    return TorchRestorer(checkpoint, place, dtype, batch_size or GPU_BATCH, self_ensemble=both)
