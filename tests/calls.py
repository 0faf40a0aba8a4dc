"""The commands as tests call them: options by name, on the CPU, to the end."""

from dataclasses import fields

from faceren.commands.degrade import degrade
from faceren.commands.evaluate import evaluate
from faceren.commands.options import DegradeOptions, EvaluateOptions, FolderOptions, RunOptions
from faceren.commands.restore import RestoreRun, restore
from faceren.degradation.files import Degraded
from faceren.metrics.results import Evaluation
from faceren.restoration.options import RestoreOptions
from faceren.restoration.results import PhotoResult


def restoring(inputs, output, **options) -> RestoreRun:
    """Plan a restoration; each option goes where its field is."""
    options = {"device": "cpu"} | options
    kinds = (RestoreOptions, RunOptions, FolderOptions)
    what, how, folder = (
        kind(**{f.name: options.pop(f.name) for f in fields(kind) if f.name in options})
        for kind in kinds
    )
    assert not options
    return restore(inputs, output, what, how=how, folder=folder)


def restored(inputs, output, **options) -> list[PhotoResult]:
    return list(restoring(inputs, output, **options).results)


def degraded(inputs, output=None, **options) -> list[Degraded]:
    known = {"size": "keep", "workers": 1} | options
    return list(degrade(inputs, output, DegradeOptions(**known)))


def evaluated(results, **options) -> Evaluation:
    *_, evaluation = evaluate(results, EvaluateOptions(**{"device": "cpu"} | options))
    return evaluation
