import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from faceren.arrays import LUMA
from faceren.config import Mark
from faceren.images.page import Page, stored_raster, upright_view
from faceren.images.photo import Photo
from faceren.restoration.repair.finder import RIM, TILE, MarkFinder, load_finder
from faceren.restoration.repair.mask import LEVEL, read_mask, write_mask
from faceren.restoration.repair.repair import KEPT, MOST, Repairer
from faceren.runs.folder import mask_key


class Named:
    """A detector that names what is nearly white."""

    sha256 = "ab"

    def marked(self, page: Page) -> np.ndarray:
        return np.where(page.upright_uint8().min(-1) > 250, np.uint8(255), 0).astype(np.uint8)


class NamingRepairer(Repairer):
    finder = Named()  # type: ignore[assignment]


def photo(*pages: np.ndarray) -> Photo:
    return Photo(Path("a.png"), "png", tuple(Page(page, "rgb") for page in pages), (0, 0))


def scratched(level: int = 255, side: int = 320) -> np.ndarray:
    raster = np.random.default_rng(3).integers(90, 130, (side, side, 3)).astype(np.uint8)
    cv2.line(raster, (20, 30), (120, 50), (level,) * 3, 3)
    return raster


def nobody(_: np.ndarray) -> list:
    return []


def test_auto_fills_what_it_finds_and_suggest_only_shows_it() -> None:
    before = photo(scratched())
    same, (shown,) = NamingRepairer("suggest").repaired(before, "a.png", nobody)
    after, (done,) = NamingRepairer("auto").repaired(before, "a.png", nobody)
    assert same is before
    assert not shown.filled
    assert done.filled
    assert np.array_equal(shown.kinds, done.kinds)
    assert set(np.unique(done.kinds)) == {0, Mark.LINE}
    old, new = before.pages[0].raster, after.pages[0].raster
    assert np.array_equal(old[done.kinds == 0], new[done.kinds == 0])
    assert new[done.kinds > 0].max() < 150
    assert done.to_json()["marks"] == {"line": 1}
    assert done.to_json()["components"][0]["left"] == ""
    assert done.in_words() == f"line: {done.share:.2%} of the pixels filled"


def test_each_page_is_repaired_by_itself() -> None:
    both = photo(scratched(), scratched(120))
    after, (first, second) = NamingRepairer("auto").repaired(both, "a.tif", nobody)
    assert (first.filled, second.filled) == (True, False)
    assert np.array_equal(after.pages[1].raster, both.pages[1].raster)


def test_auto_abstains_when_all_seems_to_be_marked_and_strong_does_not() -> None:
    raster = scratched()
    for row in range(3, 300, 40):
        raster[row : row + 9, 4:316] = 255
    _, (auto,) = NamingRepairer("auto").repaired(photo(raster), "a.png", nobody)
    _, (strong,) = NamingRepairer("strong").repaired(photo(raster), "a.png", nobody)
    assert auto.share > MOST
    assert not auto.filled
    assert "auto fills no more than 15%" in auto.note
    assert strong.filled


def test_auto_takes_no_stars_for_dust() -> None:
    sky = np.full((320, 320, 3), 20, np.uint8)
    for y, x in np.random.default_rng(0).integers(5, 315, (250, 2)):
        cv2.circle(sky, (int(x), int(y)), 1, (255,) * 3, cv2.FILLED)
    before = photo(sky)
    same, (auto,) = NamingRepairer("auto").repaired(before, "a.png", nobody)
    assert same is before
    assert re.match(r"it has marks all over \(\d+%\), as of stars or a pattern: auto", auto.note)
    assert auto.kinds.any()  # what suggest shows, and strong fills
    _, (strong,) = NamingRepairer("strong").repaired(photo(sky), "a.png", nobody)
    assert strong.filled
    few = sky.copy()
    few[80:] = 20
    assert NamingRepairer("auto").repaired(photo(few), "a.png", nobody)[1][0].filled


def test_a_given_mask_is_obeyed_whatever_the_detector_says(tmp_path: Path) -> None:
    mask = np.zeros((320, 320), np.uint8)
    mask[100:104, 20:90] = 3 * LEVEL
    Image.fromarray(mask).save(tmp_path / "a.png.png")
    before = photo(scratched())
    for mode in ("off", "auto"):
        after, (done,) = NamingRepairer(mode, tmp_path).repaired(before, "a.png", nobody)
        assert done.filled
        assert done.given
        changed = (after.pages[0].raster != before.pages[0].raster).any(-1)
        assert not changed[mask == 0].any()
        assert changed[mask > 0].mean() > 0.9
        assert done.to_json()["marks"] == {"line": 1}
    _, found = NamingRepairer("off", tmp_path).repaired(before, "b.png", nobody)
    assert found == ()


def test_an_empty_mask_means_that_nothing_is_filled(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png.png", np.zeros((320, 320), np.uint8))
    before = photo(scratched())
    same, (done,) = NamingRepairer("auto", tmp_path).repaired(before, "a.png", nobody)
    assert same is before
    assert not done.filled


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((320, 80), np.uint8), "expected a mask of 320×320 pixels, .* got 80×320"),
        (np.zeros((320, 320), np.uint16), "expected a mask of 8 bits, got mode I;16"),
        (np.full((320, 320), 255, np.uint8), "the mask covers 100% of the photo; nothing was"),
        (None, "expected a mask, a PNG of 320×320 pixels"),
    ],
)
def test_a_mask_that_cannot_be_obeyed_is_not_and_says_so(
    mask: np.ndarray | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.png.png"
    path.write_bytes(b"no picture") if mask is None else Image.fromarray(mask).save(path)
    before = photo(scratched())
    same, (done,) = NamingRepairer("auto", tmp_path).repaired(before, "a.png", nobody)
    assert same is before
    assert not done.filled
    assert re.search(message, done.note)


def test_masks_come_back_as_they_were_written(tmp_path: Path) -> None:
    kinds = np.arange(6, dtype=np.uint8).repeat(10).reshape(6, 10)
    write_mask(tmp_path / "m.png", kinds)
    assert np.array_equal(read_mask(tmp_path / "m.png", (6, 10)), kinds)
    Image.fromarray(np.where(kinds > 0, 1, 0).astype(np.uint8)).save(tmp_path / "faint.png")
    assert np.array_equal(read_mask(tmp_path / "faint.png", (6, 10)) > 0, kinds > 0)
    Image.new("RGB", (10, 6), (0, 0, 255)).save(tmp_path / "blue.png")
    assert (read_mask(tmp_path / "blue.png", (6, 10)) == Mark.LOSS).all()


def test_a_mask_may_have_more_pixels_than_pillow_lets_strangers_have(tmp_path, monkeypatch) -> None:
    write_mask(tmp_path / "m.png", np.ones((6, 10), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert (read_mask(tmp_path / "m.png", (6, 10)) == 1).all()


def test_masks_of_no_photo_are_named(tmp_path: Path) -> None:
    for name in ("a.jpg.png", "b.tif.1.png", "c.png"):
        write_mask(tmp_path / name, np.zeros((4, 4), np.uint8))
    (stray,) = Repairer("off", tmp_path).strays(["a.jpg", "b.tif"])
    assert stray.startswith("--repair-mask: c.png is the mask of no photo of this run")
    assert mask_key("x/b.tif", 1) == "x/b.tif.1.png"


def test_the_digest_follows_mask_and_weights(tmp_path: Path) -> None:
    repairer = NamingRepairer("auto", tmp_path)
    before = repairer.digest("a.png")
    write_mask(tmp_path / "a.png.png", np.zeros((4, 4), np.uint8))
    one = repairer.digest("a.png")
    write_mask(tmp_path / "a.png.2.png", np.zeros((4, 4), np.uint8))
    two = repairer.digest("a.png")
    assert len({before, one, two, NamingRepairer("off").digest("a.png")}) == 4
    write_mask(tmp_path / "b.png.1.png", np.zeros((4, 4), np.uint8))
    assert repairer.digest("a.png") == two


def test_tiles_give_what_the_whole_gives() -> None:
    """As far as the detector looks beyond a tile's rim, which is hardly."""
    finder = load_finder()
    page = Page(cv2.resize(scratched(), (TILE + 300, 200)), "rgb")
    tiled = finder.marked(page).astype(int)
    gray = page.upright_region((0, 0, TILE + 300, 200)) @ LUMA
    views = [finder.probabilities(view) for view in (gray, 1 - gray)]
    whole = np.rint(np.maximum(*views) * 255).astype(int)
    assert np.array_equal(tiled[:, : TILE - 3 * RIM], whole[:, : TILE - 3 * RIM])
    assert np.abs(tiled - whole).max() < 40
    assert np.abs(tiled - whole).mean() < 0.2


def test_the_shipped_detector_sees_a_scratch_and_pads_any_size() -> None:
    finder = load_finder()
    assert isinstance(finder, MarkFinder)
    raster = cv2.GaussianBlur(scratched(), (0, 0), 1)
    marked = finder.marked(Page(raster, "rgb"))
    line = np.zeros((320, 320), np.uint8)
    cv2.line(line, (20, 30), (120, 50), 1, 3)
    assert marked[line > 0].mean() > 128
    assert marked[cv2.dilate(line, np.ones((9, 9), np.uint8)) == 0].mean() < 10
    for shape in ((1, 1, 3), (7, 33, 3), (16, 1030, 3)):
        assert finder.marked(Page(np.zeros(shape, np.uint8), "rgb")).shape == shape[:2]


def test_black_marks_are_found_as_white_ones_are() -> None:
    finder = load_finder()
    raster = cv2.GaussianBlur(scratched(), (0, 0), 1)
    page, negative = Page(raster, "rgb"), Page(255 - raster, "rgb")
    of_page, of_negative = (finder.marked(one).astype(int) for one in (page, negative))
    assert np.abs(of_page - of_negative).max() <= 1
    alone = finder.probabilities(negative.upright_region((0, 0, 320, 320)) @ LUMA) * 255
    line = np.zeros((320, 320), np.uint8)
    cv2.line(line, (20, 30), (120, 50), 1, 3)
    assert of_negative[line > 0].mean() > alone[line > 0].mean() + 20


def test_a_mark_that_a_person_wants_kept_stays_and_the_others_are_filled() -> None:
    raster = scratched()
    cv2.line(raster, (200, 150), (200, 260), (255,) * 3, 3)
    _, (both,) = NamingRepairer("auto").repaired(photo(raster), "a.png", nobody)
    first, second = both.components
    kept = {"a.png": frozenset([(0, second.box)]), "b.png": frozenset([(0, first.box)])}
    after, (one,) = NamingRepairer("auto", kept=kept).repaired(photo(raster), "a.png", nobody)
    assert [part.left for part in one.components] == ["", KEPT]
    changed = (after.pages[0].raster != raster).any(-1)
    x0, y0, x1, y1 = second.box
    assert not changed[y0:y1, x0:x1].any()
    assert changed[first.box[1] : first.box[3], first.box[0] : first.box[2]].any()
    assert one.note == ""
    digests = {NamingRepairer("auto", kept=kept).digest(key) for key in ("a.png", "b.png", "c.png")}
    assert len(digests) == 3


def test_a_mark_to_keep_that_is_not_there_is_named() -> None:
    kept = {"a.png": frozenset([(0, (1, 2, 3, 4)), (0, (5, 6, 7, 8))])}
    _, (done,) = NamingRepairer("auto", kept=kept).repaired(photo(scratched()), "a.png", nobody)
    assert done.filled
    assert done.note == "--repair-keep: no mark was found at [1, 2, 3, 4] (and 1 more)"


@pytest.mark.parametrize("way", range(2, 9))
def test_a_turned_or_mirrored_photo_gets_the_turned_or_mirrored_mask(way: int) -> None:
    raster = cv2.GaussianBlur(scratched(), (0, 0), 1)[:200, :317]
    cv2.line(raster, (200, 90), (260, 170), (20,) * 3, 2)
    turned = np.ascontiguousarray(stored_raster(raster, way))
    masks = []
    for picture in (raster, turned):
        _, (done,) = Repairer("auto").repaired(photo(picture), "a.png", nobody)
        masks.append(done.kinds)
        for part in done.components:
            x0, y0, x1, y1 = part.box
            assert part.pixels.shape == (y1 - y0, x1 - x0)
    one, other = masks[0], upright_view(masks[1], way)
    assert (one > 0).sum() > 200
    both, either = ((one > 0) & (other > 0)).sum(), ((one > 0) | (other > 0)).sum()
    assert both / either >= 0.98
    assert np.array_equal(one[(one > 0) & (other > 0)], other[(one > 0) & (other > 0)])
