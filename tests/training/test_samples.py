from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from faceren.errors import ImageError
from faceren.training.data import Entry, Images
from faceren.training.recipe import DataRecipe
from faceren.training.samples import (
    Framing,
    SampleSet,
    Steps,
    build_loader,
    frame,
    to_float,
    turned,
)
from tests.training.tiny import write_images

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)


def make_set(*sides: int, folders: tuple[int, ...] = (), seed=0, batch=1, **values) -> SampleSet:
    """Images of one gray level each, 10 times their number."""
    entries = tuple(
        Entry(
            path=Path(f"{n}.png"),
            key=f"{n}.png",
            folder=(folders or (0,) * len(sides))[n],
            short=side,
        )
        for n, side in enumerate(sides)
    )
    pixels = tuple(np.full((side, side, 3), 10 * n, np.uint8) for n, side in enumerate(sides))
    values = {"task": "denoise", **values}
    recipe = DataRecipe(train=("a", "b")[: max(folders, default=0) + 1], **values)
    return SampleSet(Images(entries, pixels, 1024), recipe, seed, batch)


def test_framing_at_scale_one_copies_pixels():
    np.testing.assert_array_equal(frame(PHOTO, Framing(1.0), 64), PHOTO)
    np.testing.assert_array_equal(frame(PHOTO, Framing(1.0), 32), PHOTO[16:48, 16:48])


def test_framing_mirrors_shifts_and_reflects():
    mirrored = frame(PHOTO, Framing(1.0, mirrored=True), 64)
    np.testing.assert_array_equal(mirrored, PHOTO[:, ::-1])
    moved = frame(PHOTO, Framing(1.0, right=3, down=5), 64)
    np.testing.assert_array_equal(moved[5:, 3:], PHOTO[:-5, :-3])
    np.testing.assert_array_equal(moved[0, 3:], PHOTO[5, :-3])  # row -5 is row 5


def test_framing_shrinks_by_area():
    halved = frame(PHOTO, Framing(0.5), 32).astype(float)
    expected = PHOTO.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(halved - expected).max() <= 0.5


def test_framing_turns_counter_clockwise():
    np.testing.assert_array_equal(frame(PHOTO, Framing(1.0, angle=90), 64), np.rot90(PHOTO))


def test_samples_depend_on_seed_and_index_alone():
    values = {"size": 32, "rotation": 3.0, "shift": 0.1, "zoom": (0.9, 1.1), "task": "mixed"}
    one, other = make_set(64, 48, 50, **values), make_set(64, 48, 50, **values)
    forwards = [one[index] for index in range(6)]
    backwards = [other[index] for index in reversed(range(6))][::-1]
    for ours, theirs in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    assert not np.array_equal(one[0][0], one[1][0])
    assert not np.array_equal(one[0][0], make_set(64, 48, 50, seed=1, **values)[0][0])


def test_damage_is_drawn_anew_unless_fixed():
    fresh = make_set(32, size=32, flip=0.0, task="denoise")
    fixed = make_set(32, size=32, flip=0.0, task="denoise", fixed_damage=True)
    np.testing.assert_array_equal(fresh[0][1], fresh[1][1])
    assert not np.array_equal(fresh[0][0], fresh[1][0])
    np.testing.assert_array_equal(fixed[0][0], fixed[1][0])


def test_a_share_of_the_samples_is_damaged_by_full():
    plain, some, full = (
        make_set(48, size=48, task=task, full=share)
        for task, share in (("denoise", 0.0), ("denoise", 0.3), ("full", 0.0))
    )
    kinds = []
    for index in range(200):
        damaged, target, *_ = some[index]
        kinds.append([np.array_equal(damaged, other[index][0]) for other in (plain, full)])
        np.testing.assert_array_equal(target, plain[index][1])
    assert all(sum(kind) == 1 for kind in kinds)
    assert 0.2 < np.mean(kinds, 0)[1] < 0.4


def test_a_share_of_the_samples_has_a_single_damage_of_the_papers():
    some = make_set(48, size=48, task="worn", full=0.2, single=0.5)
    others = {task: make_set(48, size=48, task=task) for task in ("denoise", "full")}
    counts, flat = dict.fromkeys(others, 0), 0
    for index in range(300):
        damaged = some[index][0]
        for task in others:
            counts[task] += np.array_equal(damaged, others[task][index][0])
        if np.ptp(damaged) == 0:  # blur, shrinking and JPEG leave a flat image flat
            flat += 1
    assert 0.14 < counts["full"] / 300 < 0.26
    assert 0.06 < counts["denoise"] / 300 < 0.15  # a tenth, and those of ``full`` without noise
    assert flat / 300 > 0.35


def test_single_damages_leave_the_other_samples_as_they_were():
    whole = make_set(48, size=48, task="denoise", full=0.3)
    some = make_set(48, size=48, task="denoise", full=0.3, single=0.2)
    same = [np.array_equal(whole[n][0], some[n][0]) for n in range(200)]
    assert 0.76 < np.mean(same) < 0.92  # 1 - 0.2 * 4/5: a fifth of the single ones is noise, too


def test_folders_are_drawn_by_weight():
    samples = make_set(64, 64, 64, 64, folders=(0, 1, 1, 1), weights=(0.75, 0.25), size=32)
    first = [int(samples[index][1][0, 0, 0]) == 0 for index in range(400)]
    assert np.mean(first) == pytest.approx(0.75, abs=0.07)  # 3 standard errors
    empty = make_set(64, 64, folders=(1, 1), weights=(0.75, 0.25), size=32)
    assert {int(empty[index][1][0, 0, 0]) for index in range(20)} == {0, 10}


def test_crops_come_from_images_that_are_large_enough():
    samples = make_set(32, 128, 53, size=32, crops=1.0, crop_zoom=(0.6, 1.0))
    assert {int(samples[index][1][0, 0, 0]) for index in range(30)} == {10}
    small = make_set(32, 40, size=32, crops=1.0)
    assert {int(small[index][1][0, 0, 0]) for index in range(30)} == {0, 10}


def test_a_file_that_broke_is_replaced_by_the_next(tmp_path):
    whole = make_set(32, 32, size=32)
    write_images(tmp_path, 2, side=32)
    entries = [
        replace(entry, path=tmp_path / f"00{n}.png") for n, entry in enumerate(whole.images.entries)
    ]
    samples = SampleSet(Images(tuple(entries), (), 64), whole.recipe, 0)
    expected = next(samples[index] for index in range(8) if whole[index][1][0, 0, 0] == 10)
    (tmp_path / "000.png").unlink()
    replaced = [samples[index] for index in range(8)]
    assert {sample[1].mean() for sample in replaced} == {expected[1].mean()}
    (tmp_path / "001.png").unlink()
    with pytest.raises(ImageError, match="none of the images can be read any more"):
        samples[0]


def test_steps_share_a_batch_without_overlap():
    samples = make_set(32, batch=4)
    alone = list(islice(Steps(samples, first=3, rank=0, processes=1), 2))
    assert alone == [[12, 13, 14, 15], [16, 17, 18, 19]]
    pair = [list(islice(Steps(samples, first=3, rank=rank, processes=2), 2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*pair, strict=True)] == alone


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of any thread
def test_worker_processes_make_the_same_samples():
    values = {"size": 32, "task": "mixed", "batch": 3}
    sets = [make_set(64, 48, workers=workers, **values) for workers in (0, 2)]
    loaders = [
        build_loader(samples, Steps(samples, first=1, rank=0, processes=1), pinned=False)
        for samples in sets
    ]
    ours, theirs = (list(islice(loader, 3)) for loader in loaders)
    for one, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert ours[0][0].shape == (3, 32, 32, 3)


def test_to_float_is_channels_last_in_the_unit_range():
    images = to_float(torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8).expand(2, 4, 4, 3))
    assert images.shape == (2, 3, 4, 4)
    assert images[0, :, 0, 0].tolist() == pytest.approx([0, 0.2, 1])
    contiguous = to_float(torch.zeros(2, 4, 4, 3, dtype=torch.uint8))
    assert contiguous.is_contiguous(memory_format=torch.channels_last)


def test_large_steps_show_whole_large_images_and_fewer_of_them():
    samples = make_set(32, 80, 64, size=32, crops=1.0, large=0.3, large_size=64, batch=8)
    steps = list(islice(Steps(samples, first=0, rank=0, processes=1), 400))
    large = [number for number in range(400) if samples.large(number)]
    assert 0.2 < len(large) / 400 < 0.4
    assert {len(steps[number]) for number in large} == {2}  # 8 images a quarter as large
    assert [step[0] for step in steps] == [8 * number for number in range(400)]
    seen = [samples[index] for number in large[:8] for index in steps[number]]
    assert {sample[1].shape for sample in seen} == {(64, 64, 3)}
    assert {int(sample[1][0, 0, 0]) for sample in seen} == {10, 20}  # never the one of 32 pixels
    assert all(whole for _, _, whole in seen)
    others = [n for n in range(20) if n not in large]
    assert {samples[8 * number][1].shape for number in others} == {(32, 32, 3)}


def test_no_large_steps_change_no_sample():
    plain, other = (make_set(64, size=32, large_size=side, batch=2) for side in (64, 512))
    assert not any(plain.large(step) for step in range(50))
    np.testing.assert_array_equal(plain[5][0], other[5][0])


def test_turns_are_by_quarters_and_change_no_sample_without_them():
    quarter = frame(PHOTO, Framing(1.0, quarters=1), 64)
    np.testing.assert_array_equal(quarter, np.rot90(PHOTO))
    plain = make_set(64, size=32, crops=1.0)
    same = replace(plain, recipe=replace(plain.recipe, turns=0.0))
    np.testing.assert_array_equal(plain[3][0], same[3][0])
    framings = []
    for index in range(40):
        rng = np.random.default_rng(index)
        always = replace(plain.recipe, turns=1.0)
        framing, _ = replace(plain, recipe=always)._framing(rng, PHOTO, 32, crop=True)
        framings.append(framing.quarters)
    assert set(framings) == {1, 2, 3}


def test_views_are_the_samples_turned_by_a_quarter_more_each():
    images = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    views = turned(images, 3)
    assert views.shape == (6, 3, 4, 4)
    assert torch.equal(views[:2], images)
    assert torch.equal(views[2:4], images.rot90(1, (2, 3)))
    assert torch.equal(views[4:], images.flip((2, 3)))
