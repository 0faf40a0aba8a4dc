from pathlib import Path

import numpy as np
import pytest
from skimage import data

from faceren.bench.output.report import Report
from faceren.bench.quality.suite import Quality
from faceren.bench.request import Request
from faceren.images import write_png
from faceren.metrics.results import MetricResult


@pytest.fixture
def photo() -> np.ndarray:
    """A sharp photograph of a face, (128, 128, 3)."""
    return np.ascontiguousarray(data.astronaut()[40:168, 150:278])


@pytest.fixture
def faces(tmp_path, photo) -> Path:
    """A folder of two small clean faces, one in a sub-folder."""
    write_png(tmp_path / "faces" / "a.png", photo)
    write_png(tmp_path / "faces" / "more" / "b.png", np.ascontiguousarray(photo[:, ::-1]))
    return tmp_path / "faces"


@pytest.fixture
def request_for(faces, tmp_path):
    """Make a request for two faces of 64 pixels, without noise from devices."""

    def make(**changes):
        known = {"clean": faces, "output": tmp_path / "b", "tasks": ("denoise",), "size": 64}
        return Request(**known | {"metrics": ("psnr",), "device": "cpu"} | changes)

    return make


@pytest.fixture
def make_row():
    """Make a row of quality from the figures of its faces."""

    def make(values, *, task="full", method="compact", kind="network", metric="psnr", **more):
        mean = sum(values) / len(values)
        found = MetricResult(mean=mean, ci95=(min(values), max(values)), n=len(values), by="x")
        images = {f"{i}.png": {metric: value} for i, value in enumerate(values)}
        fields = {"note": "a note", "n": len(values), "folder": Path("none"), "images": images}
        return Quality(
            **{"task": task, "method": method, "kind": kind, "metrics": {metric: found}}
            | fields
            | more
        )

    return make


@pytest.fixture
def make_report():
    """Make a report of rows."""

    def make(*rows, **machine):
        return Report({"device": "here", "kind": "cpu"} | machine, {"seed": 0}, list(rows))

    return make
