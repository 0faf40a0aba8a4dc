from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file

from faceren import assets
from faceren.arrays import LUMA
from faceren.assets import asset
from faceren.errors import MachineError
from faceren.images import read_rgb
from faceren.networks.efficientnet import EfficientNetLite1
from faceren.restoration.repair.observer import (
    AROUND,
    RIM,
    TILE,
    WEIGHTS,
    Seen,
    load_observer,
    observer_of,
)

STRIDES = (4, 8, 16)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    folder = Path(__file__).parents[3] / "sample_photos"
    return read_rgb(sorted(folder.glob("*.jpg"))[0])


def seen_by_torch(gray: np.ndarray) -> list[np.ndarray]:
    """Return the maps at strides 4, 8 and 16 of the package's own network, three channels alike."""
    network = EfficientNetLite1(asset("efficientnet-lite1")).eval()
    x = torch.from_numpy(gray)[None, None].expand(1, 3, -1, -1)
    maps = []
    with torch.no_grad():
        x = network.stages[0](F.relu6(network.stem(x * (255 / 128) - 127 / 128)))
        for stage in (network.stages[1], network.stages[2], network.stages[3][:2]):
            x = stage(x)
            maps.append(x[0].numpy())
    return maps


def test_it_sees_what_the_published_network_sees(photo: np.ndarray) -> None:
    """Weights of 16 bits, batch norms folded, and what is given out is two sums of each map."""
    gray = np.asarray(photo[:160, :224] @ LUMA / 255, np.float32)
    arrays = load_file(asset(WEIGHTS))
    bare = observer_of({k: v for k, v in arrays.items() if not k.startswith("marks")})
    wanted = seen_by_torch(gray)
    for found, there in zip(bare.looked(gray), wanted, strict=True):
        assert found.shape == there.shape
        assert np.abs(found - there).max() < 0.05 * there.std()
        assert np.abs(found - there).mean() < 0.005 * there.std()
    for found, there, stride in zip(load_observer().looked(gray), wanted, STRIDES, strict=True):
        sums = np.einsum("schw,cyx->syx", arrays[f"marks.{stride}"].astype(np.float32), there)
        assert np.abs(found - sums).mean() < 0.01 * sums.std()


def test_tiles_have_no_seams_and_are_left_out_where_nothing_is_named(photo: np.ndarray) -> None:
    step = TILE - 2 * RIM
    height, width = 128, step + 208
    page = np.tile(photo, (1 + height // photo.shape[0], 1 + width // photo.shape[1], 1))
    page = np.ascontiguousarray(page[:height, :width])
    observer, candidates = load_observer(), np.ones((height, width), np.uint8)
    whole = observer.looked(page @ LUMA / 255)
    for found, there in zip(observer.seen(page, candidates).maps, whole, strict=True):
        assert found.shape == there.shape
        assert np.abs(found - there).max() <= 1e-3 * np.abs(there).max()
    candidates[:, : step + AROUND[1]] = 0
    for found, there, stride in zip(
        observer.seen(page, candidates).maps, whole, STRIDES, strict=True
    ):
        assert not found[..., : step // stride].any()
        right = there[..., step // stride :]
        assert np.abs(found[..., step // stride :] - right).max() <= 1e-3 * np.abs(there).max()


@pytest.mark.parametrize("corner", [(0, 0), (37, 21), (70, 50)])
def test_means_are_those_of_a_plain_loop(corner: tuple[int, int]) -> None:
    height, width = 61, 83
    rng = np.random.default_rng(2)
    maps = tuple(
        rng.normal(size=(2, -(-height // stride), -(-width // stride))).astype(np.float16)
        for stride in STRIDES
    )
    pixels = np.zeros((9, 11), bool)
    pixels[4] = True  # a line, from which distances are plain
    x0, y0 = corner
    seen = Seen((height, width), maps)
    under, around = np.zeros((2, 3, 2))
    counts = [0, 0]
    for y in range(height):
        for x in range(width):
            away = np.hypot(max(x0 - x, 0, x - x0 - 10), y - y0 - 4)
            if abs(away - AROUND[1]) < 1:
                continue  # OpenCV's distances are a little off
            values = [
                m[:, y // stride, x // stride] for m, stride in zip(maps, STRIDES, strict=True)
            ]
            if away == 0:
                under, counts[0] = under + values, counts[0] + 1
            elif AROUND[0] <= away < AROUND[1]:
                around, counts[1] = around + values, counts[1] + 1
    found = seen.means((x0, y0, x0 + 11, y0 + 9), pixels).reshape(2, 3, 2)
    assert np.allclose(found[0], under / counts[0], atol=1e-6)
    assert np.abs(found[1] - around / counts[1]).max() < 0.1
    said = seen.meaning((x0, y0, x0 + 11, y0 + 9), pixels)
    assert said == pytest.approx(found[0, :, 0].sum() + found[1, :, 1].sum())


def test_what_lies_around_may_be_nothing() -> None:
    maps = tuple(np.ones((2, -(-5 // stride), -(-5 // stride)), np.float16) for stride in STRIDES)
    means = Seen((5, 5), maps).means((0, 0, 5, 5), np.ones((5, 5), bool))
    assert means.tolist() == [1.0] * 6 + [0.0] * 6


def test_weights_that_are_missing_or_damaged_are_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(assets, "models_dir", lambda: tmp_path)
    for content, message in ((None, "is not there"), (b"damaged", "has SHA-256")):
        if content:
            (tmp_path / "faceren-wear-observer.safetensors").write_bytes(content)
        assets.asset.cache_clear()
        load_observer.cache_clear()
        with pytest.raises(MachineError, match=message):
            load_observer()
    assets.asset.cache_clear()


def test_all_that_finds_marks_is_small() -> None:
    assert sum(asset(name).stat().st_size for name in (WEIGHTS, "wear-detector")) <= 1.3e6
