"""A store that fails at the n-th call: nothing is lost, and the same command goes on."""

import random
from collections import Counter

import pytest

from tests.attack.scenes import prepare
from tests.attack.store_faults import SCENES, Faulty, StoreFault, content, faults_of, start, trial

pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture
def store(memory, tmp_path, monkeypatch):
    """Three small photos in a store; returns its file system."""
    prepare(tmp_path)
    for path in (tmp_path / "in").iterdir():
        memory.pipe_file(f"/a/in/{path.name}", path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("faceren.runs.storage.PAUSE", 0)
    return memory


def problems(store, run, scene, monkeypatch, most=None):
    """Return how many trials there were, ``most`` at most, and what was wrong in some of them."""
    faulty = Faulty()
    faulty.fit(store, monkeypatch)
    start(store, scene, run)
    faulty.calls = Counter()
    assert run(*scene.command.split())[0] == scene.status
    calls, expected = faulty.calls, content(store)
    assert calls["find"]
    faults = list(faults_of(calls))
    if most is not None:
        faults = random.Random(0).sample(faults, most)
    found = {}
    for fault in faults:
        if wrong := list(trial(store, faulty, scene, run, expected, fault)):
            found[str(fault)] = wrong
    return len(faults), found


@pytest.mark.parametrize("name", SCENES)
def test_a_fault_of_a_store_loses_nothing(store, run, monkeypatch, name):
    assert problems(store, run, SCENES[name], monkeypatch, most=8)[1] == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_no_fault_of_a_store_loses_anything(store, run, monkeypatch, name):
    count, found = problems(store, run, SCENES[name], monkeypatch)
    print(f"{name}: {count} faults of a store")
    assert found == {}


def test_the_calls_do_fail(store, run, monkeypatch):
    faulty = Faulty(StoreFault("cp_file", 1, "denied"))
    faulty.fit(store, monkeypatch)
    status, _, said = run(*SCENES["degrade"].command.split())
    assert status == 4
    assert "cannot be written: Access Denied; give credentials that may do this" in said
