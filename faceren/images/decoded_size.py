"""How much memory a photo will take, told by its header."""

from pathlib import Path

from faceren.errors import FacerenError
from faceren.images.checks import check_file
from faceren.images.decode import DAMAGE, opened, png_depth


def decoded_bytes(path: Path) -> int:
    """Return the bytes of a photo's decoded pixels, all pages together.

    Nothing is decoded. 0 if the file is no readable photo: reading it will say why.
    """
    try:
        kind = check_file(path)
        if kind == "tiff":
            return _tiff_bytes(path)
        with opened(path, kind) as image:
            width, height = image.size
            channels = 4 if image.mode == "P" else len(image.getbands())
            if kind == "png" and png_depth(path) == 16:
                channels *= 2
            return int(width * height * channels)
    except (FacerenError, *DAMAGE):
        return 0


def _tiff_bytes(path: Path) -> int:
    import tifffile  # here: training must run without it

    with tifffile.TiffFile(path) as file:
        return sum(
            page.imagewidth * page.imagelength * page.samplesperpixel * -(-page.bitspersample // 8)
            for page in file.pages
        )
