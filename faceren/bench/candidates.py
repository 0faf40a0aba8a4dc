"""Which networks are compared on a task: ours, those trained for it, and other people's."""

from dataclasses import dataclass

from faceren.assets import model_path
from faceren.bench.methods import Method, Network
from faceren.bench.peers import load_peer
from faceren.bench.request import RUNS, TASKS, Request, short_name
from faceren.checkpoint import load_checkpoint
from faceren.errors import ConfigError
from faceren.files import sha256_of
from faceren.training.folder import RunFolder


@dataclass(frozen=True)
class Candidate:
    """A loaded method, and the one task that it is for, if it is for one."""

    method: Method
    task: str = ""


def candidates(request: Request) -> list[Candidate]:
    """Return every network of a request, each read once, so that a bad one is found at once.

    The first is the model that the request names; a run folder of ``faceren train`` with the name
    of a task (``runs/denoise``) takes part in that task without being named.

    Raises:
        ConfigError: If two have the same name, or spandrel cannot read one.
        MachineError: If a file is missing or damaged, or spandrel is not installed.
    """
    found = [Candidate(network(request, request.model))]
    for text in request.models:
        task, _, model = text.rpartition("=")
        if task and task not in TASKS:
            raise ConfigError(f"--models {text}: expected TASK=FILE, got the task {task!r}")
        found.append(Candidate(_any(request, model), task))
    given = {candidate.task for candidate in found}
    for task in request.tasks:
        trained = RunFolder(RUNS / task).best
        if trained.is_file() and task not in given:
            found.append(Candidate(network(request, str(trained), name=f"{task}-run"), task))
    names = [candidate.method.name for candidate in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"--models: {name!r} is there twice; give the files different names")
    return found


def _any(request: Request, model: str) -> Method:
    path = model_path(model)
    try:
        load_checkpoint(path)
    except ConfigError:  # not ours
        return load_peer(path, device=request.device)
    return network(request, model)


def network(request: Request, model: str, *, name: str = "") -> Network:
    """Return a network of ours as a method.

    Args:
        request: Where to run it.
        model: A shipped model's name, or a checkpoint.
        name: Default the model's.
    """
    return Network(
        name=name or short_name(model),
        model=model,
        weights_sha256=sha256_of(model_path(model)),
        device=request.device,
        precision=request.precision,
    )
