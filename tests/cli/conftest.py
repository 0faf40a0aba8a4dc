import pytest
from PIL import Image

from faceren.assets import samples_dir


@pytest.fixture(autouse=True)
def _in_an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def faces(tmp_path):
    """Two small clean faces."""
    (tmp_path / "faces").mkdir()
    for path in sorted((samples_dir() / "clean").iterdir())[:2]:
        with Image.open(path) as image:
            image.resize((128, 128)).save(tmp_path / "faces" / f"{path.stem}.png")
    return tmp_path / "faces"
