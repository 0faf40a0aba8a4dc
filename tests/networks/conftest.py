import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Every test of this folder computes on one thread."""
