"""kill -9 at random moments."""

import pytest

from tests.attack.faults import Laboratory, compiled
from tests.attack.kills import killed


@pytest.fixture
def laboratory(tmp_path):
    library, root = compiled(tmp_path), tmp_path / "root"
    if library is None:
        pytest.skip("needs a C compiler and Linux")
    root.mkdir()
    found = Laboratory(library, root)
    yield found, root
    found.close()


def test_a_killed_run_loses_nothing(laboratory):
    assert list(killed(*laboratory, 2, 1, names=("degrade",))) == []


@pytest.mark.slow
def test_two_hundred_kills(laboratory):
    assert list(killed(*laboratory, 200, 2)) == []
