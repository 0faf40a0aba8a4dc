"""Photos in files: find, read, write, with everything a file says about its picture."""

from faceren.images.checks import (
    DEFAULT_MAX_PIXELS,
    OF_A_RUN,
    Found,
    count_files,
    find_images,
    find_others,
    same_name,
    shown,
)
from faceren.images.headers import decoded_bytes
from faceren.images.metadata.xmp import Restoration
from faceren.images.page import Box
from faceren.images.photo import Photo, enlarged, read_photo, read_rgb, to_tensor, to_uint8
from faceren.images.write import (
    check_target,
    copy_photo,
    keep_times,
    limit_beyond,
    write_photo,
    write_png,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "OF_A_RUN",
    "Box",
    "Found",
    "Photo",
    "Restoration",
    "check_target",
    "copy_photo",
    "count_files",
    "decoded_bytes",
    "enlarged",
    "find_images",
    "find_others",
    "keep_times",
    "limit_beyond",
    "read_photo",
    "read_rgb",
    "same_name",
    "shown",
    "to_tensor",
    "to_uint8",
    "write_photo",
    "write_png",
]
