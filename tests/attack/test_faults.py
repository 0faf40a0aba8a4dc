"""A disk that fails at the n-th call: nothing is lost, and the same command goes on."""

import pytest

from tests.attack.faults import ERRORS, KINDS, Fault, Laboratory, compiled
from tests.attack.scenes import SCENES, prepare, trial, undisturbed


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory):
    library = compiled(tmp_path_factory.mktemp("library"))
    if library is None:
        pytest.skip("needs a C compiler and Linux")
    root = tmp_path_factory.mktemp("laboratory")
    prepare(root)
    found = Laboratory(library, root)
    yield found, root
    found.close()


def sample(calls, count):
    """Faults of every kind, spread over a run."""
    for kind in KINDS:
        for number in range(count if kind in ("write", "fsync", "read", "open") else 1):
            place = 1 + number * max(0, calls[kind] - 1) // max(1, count - 1)
            if calls[kind]:
                yield Fault(kind, place, ERRORS[kind][number % len(ERRORS[kind])])


@pytest.mark.parametrize(("name", "count"), [("restore", 2), ("degrade", 2), ("merge", 2)])
def test_a_fault_loses_nothing(laboratory, name, count):
    found, root = laboratory
    expected = undisturbed(found, root, SCENES[name])
    kinds = {"write", "read", "open"} | ({"rename"} if name != "merge" else set())
    assert kinds <= {k for k, n in expected.calls.items() if n}
    problems = {
        str(fault): wrong
        for fault in sample(expected.calls, count)
        if (wrong := list(trial(found, root, SCENES[name], expected, fault)))
    }
    assert not problems


def test_the_laboratory_does_make_calls_fail(laboratory):
    found, root = laboratory
    expected = undisturbed(found, root, SCENES["degrade"])
    last = Fault("write", expected.calls["write"], ERRORS["write"][0])
    run = found.run(SCENES["degrade"].command.split(), last)
    assert run.status == 4
    assert "Input/output error" in run.stderr
    assert found.run(SCENES["degrade"].command.split()).status == 0
