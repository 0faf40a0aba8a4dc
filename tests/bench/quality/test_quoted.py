"""The paper's tables, as they are printed."""

from faceren.bench.quality.quoted import MARK, table_1, table_2
from faceren.bench.request import TASKS
from faceren.metrics.names import PAPER_METRICS


def test_the_paper_is_quoted_as_it_is_printed():
    counts = {task: len(table_1(task)) for task in TASKS}
    assert counts == {
        "small": 0,
        "sr4x": 7,
        "hallucination": 4,
        "denoise": 4,
        "deblur": 3,
        "jpeg": 3,
        "full": 8,
        "historic": 0,
    }
    ours = table_1("full")[-1]
    assert (ours.method, ours.metrics["psnr"], ours.metrics["niqe"]) == ("HiFaceGAN", 25.837, 7.272)
    assert table_1("full")[0].method == "Degraded input"
    assert [row.method for row in table_2()] == ["SPADE", "16xFace", "FixConv", "Default", "L1"]
    assert table_2()[3].metrics == table_1("hallucination")[-1].metrics
    assert all(tuple(row.metrics) == PAPER_METRICS for task in TASKS for row in table_1(task))
    assert MARK in ours.line()
    assert ours.to_json()["source"] == MARK
