"""The curves of a training run, drawn from its log."""

import pytest

from faceren.images import read_rgb
from faceren.pages.curves import curves, draw_curves

LINES = [
    {"kind": "train", "step": 2, "loss": 0.5, "images_seen": 8},
    {"kind": "train", "step": 4, "loss": None, "images_seen": 16},
    {"kind": "validate", "step": 3, "full": {"psnr": 20.0}, "input": {"full": {"psnr": 19.0}}},
    {"kind": "train", "step": 6, "loss": 0.25, "images_seen": 24},
    {"kind": "validate", "step": 6, "full": {"psnr": 21.0}, "input": {"full": {"psnr": 19.0}}},
]


def test_curves_of_a_log_are_over_the_images_seen():
    assert curves(LINES) == {
        "loss": {"loss": ([8, 24], [0.5, 0.25])},
        "psnr": {"full": ([12, 24], [20, 21]), "input full": ([12, 24], [19, 19])},
    }
    assert curves([]) == {}


def test_curves_are_drawn_panel_beside_panel(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "one.png").write_bytes(draw_curves(LINES[:1]))
    (tmp_path / "two.png").write_bytes(draw_curves(LINES))
    one, two = read_rgb(tmp_path / "one.png"), read_rgb(tmp_path / "two.png")
    assert two.shape == (one.shape[0], 2 * one.shape[1], 3)
    assert (two < 200).any()
    assert draw_curves(LINES) == (tmp_path / "two.png").read_bytes()
