"""What restores faces: ONNX Runtime on a CPU, which loads at once, or torch, for all the rest.

The engine decides the last bits of an output, so it never depends on what happens to be installed
or free: on a CPU in float32 our own files of weights always run in ONNX Runtime; other devices,
half precision and published state dicts need torch.

Shape letters: N batch, H and W pixels.
"""

import importlib.util
import os
import platform
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceren.arrays import Rgb
from faceren.checks import check_value
from faceren.config import LEAST_SIDE, BaselineConfig, Engine, Ensemble, Precision
from faceren.errors import ConfigError, FaceError, MachineError, ShapeError, not_installed
from faceren.graphs.generator import FACES, RESTORED, SIDES, generator_graph
from faceren.graphs.session import Session, onnxruntime, session_of, usable_cores
from faceren.weights import (
    NCNN,
    PICKLES,
    CheckpointInfo,
    StoredWeights,
    check_fit,
    check_weights_file,
    read_header,
    read_weights,
)

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""What a Linux with the driver of a GPU has: NVIDIA's, Windows', AMD's."""


class Identified(Protocol):
    """Loaded weights, as far as a run records them."""

    @property
    def info(self) -> CheckpointInfo:
        """What the file says of itself."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the file."""


class Restorer(Protocol):
    """A loaded network, as the threads of a run see it."""

    self_ensemble: bool
    """Whether mirror images are restored as well, and the mean is taken."""
    batch_size: int

    @property
    def checkpoint(self) -> Identified:
        """The weights."""

    @property
    def device(self) -> Any:
        """Where other networks of the run compute, as torch names it."""

    @property
    def computed(self) -> str:
        """Engine, device and number type: what decides the last bits of an output."""

    @property
    def on_cpu(self) -> bool:
        """Whether passes may run side by side, each on some of the cores."""

    @property
    def devices(self) -> int:
        """Passes that may run side by side, each on a device of its own."""

    @property
    def faces_a_pass(self) -> int:
        """Faces that go through the network together."""

    @property
    def cores(self) -> int:
        """Cores that a pass in the calling thread takes, if it runs on a CPU."""

    def use_cores(self, number: int) -> None:
        """Let passes in the calling thread take so many cores, if they run on a CPU."""

    def restore_pictures(self, pictures: Sequence[Rgb]) -> list[Rgb]:
        """Return restored pictures, (H, W, 3) each, of pictures of one size."""


@dataclass
class OnnxRestorer:
    """Restore faces with ONNX Runtime on a CPU; torch is not needed.

    Every face is a pass of its own: it costs nothing on a CPU, and the bytes of a face then cannot
    depend on its neighbours.
    """

    checkpoint: StoredWeights
    """Without its arrays: they are in the session."""
    session: Future[Session]
    """The network, which may still be in the making."""
    batch_size: int
    """Has no meaning here."""
    self_ensemble: bool = False
    """Whether to restore the mirror image as well, and take the mean."""
    device: str = "cpu"
    computed: str = "onnx cpu fp32"
    on_cpu: bool = True
    devices: int = 1
    faces_a_pass: int = 1

    @property
    def cores(self) -> int:
        """Cores that passes share."""
        return usable_cores()

    def use_cores(self, number: int) -> None:
        """Do nothing: passes and what runs beside them share the cores by themselves."""

    def restore_pictures(self, pictures: Sequence[Rgb]) -> list[Rgb]:
        """Return restored pictures, (H, W, 3) each, in [0, 1].

        Args:
            pictures: (H, W, 3), RGB in [0, 1], at least LEAST_SIDE pixels a side.

        Raises:
            ShapeError: If one has another shape or is not finite.
            FaceError: If the network's output is not finite.
            MachineError: If memory is short.
        """
        return [self._restored(picture) for picture in pictures]

    def _restored(self, picture: Rgb) -> Rgb:
        if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < LEAST_SIDE:
            raise ShapeError(
                f"expected (H, W, 3) of {LEAST_SIDE} pixels or more, got {picture.shape}"
            )
        if not np.isfinite(picture).all():
            raise ShapeError("expected finite values in [0, 1], got NaN or infinity")
        height, width = picture.shape[:2]
        padded = padded_to(picture, self.checkpoint.config.stride)
        face = np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32)
        restored = self.generate(face)[0, :, :height, :width]
        if not np.isfinite(restored).all():
            raise FaceError("the network returned values that are not finite")
        return np.ascontiguousarray(restored.transpose(1, 2, 0).clip(0, 1))

    def generate(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the network makes of faces (N, 3, H, W); the same shape, not clamped.

        Args:
            faces: In [0, 1], sides multiples of the network's stride.

        Raises:
            MachineError: If ONNX Runtime refuses the network, or memory is short.
        """
        session = self.session.result()
        (restored,) = session.run({FACES: faces})
        if not self.self_ensemble:
            return restored
        mirrored = np.ascontiguousarray(faces[..., ::-1])
        (theirs,) = session.run({FACES: mirrored})
        return np.asarray((restored + theirs[..., ::-1]) / 2, np.float32)


def padded_to(picture: Rgb, stride: int) -> Rgb:
    """Extend the right and bottom by reflection to multiples of ``stride``, at least two."""
    more = [max(2 * stride, -(-side // stride) * stride) - side for side in picture.shape[:2]]
    return (
        np.pad(picture, ((0, more[0]), (0, more[1]), (0, 0)), "reflect") if any(more) else picture
    )


def load_engine(
    weights: Path,
    *,
    engine: Engine = "auto",
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int | None = None,
    ensemble: Ensemble = "auto",
) -> Restorer:
    """Load weights where and as they are to run.

    Args:
        weights: One of our ``.safetensors`` files, or what ``checkpoint.load_checkpoint`` reads.
        engine: ``onnx``, ``torch``, or ``auto``: see the module.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:n`` or ``mps``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        batch_size: Most faces a pass on a GPU.
        ensemble: Restore mirror images, too; ``auto`` does what the weights say.

    Raises:
        ConfigError: If an option is unknown, the engine cannot do what is asked for, or the
            weights do not fit their configuration.
        MachineError: If the device, a library or the weights are not there.
    """
    check_value("--engine", engine, Engine)
    check_value("--ensemble", ensemble, Ensemble)
    against = _needs_torch(weights, device, precision)
    if engine == "onnx" and against:
        raise ConfigError(f"--engine onnx: {against} needs --engine torch, or auto")
    if engine == "torch" or against:
        return _in_torch(
            weights, against or "--engine torch", device=device, precision=precision,
            batch_size=batch_size, ensemble=ensemble,
        )  # fmt: skip
    stored = read_weights(weights)
    graph = generator_graph(stored.config, stored.arrays)
    check_fit(weights, graph.shapes, {key: array.shape for key, array in stored.arrays.items()})
    onnxruntime()  # if it is not there, that is said now
    maker = ThreadPoolExecutor(1, "faceren-engine")  # beside what comes before the first face
    session = maker.submit(session_of, graph, {RESTORED: SIDES})
    maker.shutdown(wait=False)
    both = stored.info.self_ensemble if ensemble == "auto" else ensemble == "on"
    loaded = replace(stored, arrays={})  # the session has them
    return OnnxRestorer(loaded, session, batch_size or 1, self_ensemble=both)


def _needs_torch(weights: Path, device: str, precision: str) -> str:
    """Return what of a request ONNX Runtime cannot do, as the user would say it; or nothing."""
    if weights.suffix in (*PICKLES, NCNN):
        return f"{weights.name}, published weights,"
    check_weights_file(weights)
    config, _ = read_header(weights)
    if isinstance(config, BaselineConfig):
        return f"{weights.name}, {config.architecture},"
    if precision not in ("auto", "fp32"):
        return f"--precision {precision}"
    if device == "auto":
        return "the GPU of this machine (or --device cpu)" if has_gpu() else ""
    return "" if device == "cpu" else f"--device {device}"


def _in_torch(weights: Path, why: str, **how: Any) -> Restorer:
    try:
        from faceren.inference import ManyGpus, devices_of, load_restorer
    except ImportError as error:
        if error.name != "torch":
            raise
        raise MachineError(f"{why} needs {not_installed('torch')}") from error
    restorer = load_restorer(weights, **how)
    if restorer.guided:
        raise ConfigError(
            f"{weights.name}: this network needs a second image of the same face, which only "
            f"faceren benchmark --guides FOLDER gives it"
        )
    devices = devices_of(how["device"], restorer.device)
    return ManyGpus(restorer, devices) if len(devices) > 1 else restorer


def has_gpu() -> bool:
    """Say whether torch would compute on a GPU here; torch is loaded only if there may be one."""
    if not _may_have_gpu() or importlib.util.find_spec("torch") is None:
        return False
    from importlib.metadata import PackageNotFoundError, version  # here: it loads much

    with suppress(PackageNotFoundError):
        if version("torch").endswith("+cpu"):
            return False
    from faceren.inference import pick_device

    return pick_device("auto").type != "cpu"


def unused_gpu(device: str) -> str:
    """Return what to say if a GPU may be here that ``auto`` cannot use; nothing otherwise."""
    if device != "auto" or not _may_have_gpu() or importlib.util.find_spec("torch") is not None:
        return ""
    return f"a GPU would need {not_installed('torch')}; restoring on the CPU"


def _may_have_gpu() -> bool:
    """Say whether the system has the driver of a GPU that torch knows."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return Path(os.environ.get("SYSTEMROOT", "C:/Windows"), "System32/nvcuda.dll").exists()
    return any(Path(name).exists() for name in GPU_FILES)
