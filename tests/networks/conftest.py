import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Keep tiny tensors on one thread: more would only wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
