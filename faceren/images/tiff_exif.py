"""The EXIF of a TIFF, which is scattered over its directories, as one block."""

from pathlib import Path

from PIL.TiffImagePlugin import TiffImageFile

from faceren.images.decode import warnings_off

STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 301, 317, 320, *range(322, 326), 330, 338, 339, 340, 341, 347),
    *range(512, 522),
    *(529, 530, 531, 532, 700, 33723, 34377, 34675),
}
"""Tags of pixels, and those that other formats keep outside of EXIF."""


def exif_of_tiff(path: Path) -> bytes:
    """Return the EXIF of the first page, without what describes its pixels."""
    with warnings_off(), TiffImageFile(path) as image:
        exif = image.getexif()
        for pointer in (0x8769, 0x8825):  # read the EXIF and GPS directories while it is open
            exif.get_ifd(pointer)
        for tag in [tag for tag in exif if tag in STRUCTURE]:
            del exif[tag]
        return exif.tobytes().removeprefix(b"Exif\0\0") if len(exif) else b""
