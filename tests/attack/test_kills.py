"""kill -9 at random moments."""

import sys

import pytest

from tests.attack.kills import killed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no process groups")


def test_a_killed_run_loses_nothing(tmp_path):
    assert list(killed(tmp_path, 2, 1, names=("degrade",))) == []


@pytest.mark.slow
def test_two_hundred_kills(tmp_path):
    assert list(killed(tmp_path, 200, 2)) == []
