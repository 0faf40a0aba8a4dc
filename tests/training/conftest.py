import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the same sums in the same order, here and in other processes
    yield
    torch.set_num_threads(threads)
