import pytest


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Tiny tensors gain nothing by more threads than one."""
