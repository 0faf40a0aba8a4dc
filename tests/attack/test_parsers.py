"""Whatever stands in a file that is no image: a value that makes sense, or an error of ours."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.attack.targets import TARGETS

SHORT = {"checkpoint": 25, "weights": 60, "pth": 40}
"""Executions in the suite of those that are slow; 150 of the others."""


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_stands_in_a_file(name):
    target = TARGETS[name]

    @settings(
        max_examples=SHORT.get(name, 150),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @example(b"")
    @given(target.fed)
    def whatever(data):
        with tempfile.TemporaryDirectory() as folder:
            target.read(data, Path(folder))

    whatever()
