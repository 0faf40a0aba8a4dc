"""Images in, statistics of their Inception features out, a few images at a time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from faceren.metrics.inception import clean_input, paper_input
from faceren.metrics.names import Protocol
from faceren.metrics.statistics import FeatureCollector, FeatureStatistics

BATCH = 8


class FeatureStream:
    """Gather the features of a set of images.

    Args:
        network: From ``load_inception``.
        device: Where it is.
        protocol: How images are fed.
        batch: Images a pass; it changes results by rounding only.
    """

    def __init__(
        self, network: Any, device: torch.device, protocol: Protocol, *, batch: int = BATCH
    ) -> None:
        self._network, self._device, self._batch = network, device, batch
        self._prepare: Callable[[Tensor], Tensor] = (
            clean_input if protocol == "standard" else paper_input
        )
        self._waiting: list[Tensor] = []
        self._collector = FeatureCollector(protocol)

    def add(self, image: Tensor) -> None:
        """Take in an image (1, 3, H, W), RGB in [0, 1]."""
        self._waiting.append(self._prepare(image))
        if len(self._waiting) >= self._batch:
            self._flush()

    @torch.inference_mode()
    def _flush(self) -> None:
        if self._waiting:
            inputs = torch.cat(self._waiting).to(self._device)
            self._collector.add(self._network(inputs).float().cpu().numpy())
            self._waiting = []

    @property
    def count(self) -> int:
        """Images taken in so far."""
        return self._collector.count + len(self._waiting)

    def statistics(self) -> FeatureStatistics:
        """Return the statistics of all images so far.

        Raises:
            ConfigError: If there are fewer than two.
        """
        self._flush()
        return self._collector.statistics()
