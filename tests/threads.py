"""Torch on one thread, wherever this fixture is imported."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute the same sums in the same order, here and in other processes.

    And more threads would only wait for each other over tensors as tiny as those of the tests.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
