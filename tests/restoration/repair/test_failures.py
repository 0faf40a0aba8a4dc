import cv2
import numpy as np
from PIL import Image

from tests.restoration.repair.failures import MISSED, RIGHT, WRONG, judged, main


def smooth(side: int = 320) -> np.ndarray:
    down, across = np.mgrid[0:side, 0:side]
    plane = 120 + 50 * np.sin(down / 30) * np.cos(across / 25)
    return np.repeat(plane[..., None], 3, 2).astype(np.uint8)


def shows(panel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((panel == colour).all(-1).any())


def test_right_wrong_and_missed_have_their_colours() -> None:
    page, line = smooth(), np.zeros((320, 320), np.uint8)
    cv2.line(line, (40, 60), (280, 180), 1, 3)
    scratched = page.copy()
    scratched[line > 0] = 250
    right, wrong, missed = judged(scratched, line > 0, "auto")
    assert shows(right, RIGHT)
    assert max(wrong, missed) < 0.01
    panel, wrong, missed = judged(scratched, np.zeros(line.shape, bool), "auto")
    assert shows(panel, WRONG)
    assert wrong > 0.01 > missed == 0
    panel, wrong, missed = judged(page, line > 0, "auto")
    assert shows(panel, MISSED)
    assert missed > 0.01 > wrong == 0


def test_the_sheet_is_a_picture(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(smooth()).save(tmp_path / "in" / "a.png")
    main(["-o", str(tmp_path / "sheet.jpg"), "--pictures", str(tmp_path / "in")])
    with Image.open(tmp_path / "sheet.jpg") as file:
        assert min(file.size) > 300
