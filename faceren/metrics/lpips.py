"""LPIPS on AlexNet, version 0.1: the learned perceptual distance, with verified weights."""

import torch

from faceren.assets import asset
from faceren.networks.perceptual import LpipsAlexNet

LEAST_SIDE = 32
"""Smaller images leave nothing for the third convolution."""


def load_lpips(device: torch.device) -> LpipsAlexNet:
    """Return the network in float32; call it with two (N, 3, H, W) RGB batches in [0, 1].

    Raises:
        MachineError: If the weights are missing or damaged.
    """
    return LpipsAlexNet(asset("lpips-alexnet")).eval().to(device)
