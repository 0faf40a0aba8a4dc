import os
import sys
from functools import lru_cache

# Two processes share the tests, and each computes on several threads: these may not spin while they
# wait for one another. Read when NumPy and torch are imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
from skimage import data

from faceren import cli


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command line as a user would; return exit status, stdout, stderr."""

    def run_main(*arguments):
        monkeypatch.setenv("FACEREN_DEVICE", "cpu")
        monkeypatch.setattr(sys, "argv", ["faceren", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code, *capsys.readouterr()

    return run_main


@pytest.fixture
def memory():
    """Return fsspec's store in memory, ``memory://``, empty."""
    fsspec = pytest.importorskip("fsspec", reason="needs fsspec (faceren[storage])")
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


@pytest.fixture(scope="module")
def loaded_once():
    """Load each network once for all runs of a module's tests."""
    from faceren.commands.workshop import load_pipeline

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("faceren.commands.workshop.load_pipeline", lru_cache(load_pipeline))
        yield


@pytest.fixture(scope="session")
def astronaut():
    """A portrait, (512, 512, 3) uint8, not to be written to: one face, about 100 pixels wide, near
    (220, 115)."""
    image = data.astronaut()
    image.flags.writeable = False
    return image


@pytest.fixture
def one_thread():
    """Keep tensors on one thread: small ones would only wait for each other on a busy machine, and
    sums are then made in the same order here and in other processes."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
