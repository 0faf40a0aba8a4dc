"""Images in tar shards, as webdataset lays them out: few large files in place of millions.

Any sample may be drawn at any step, so that runs can be repeated and resumed; so a shard is read at
any place, by an index of its members that is made at the start. ``webdataset`` itself reads from
front to back and shuffles in a buffer, which would make a sample depend on those before it.
A compressed shard cannot be read so; the images in it are compressed anyway.
"""

import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from faceren.arrays import Rgb8
from faceren.errors import ConfigError, ImageError
from faceren.images import read_rgb, shown
from faceren.images.find import SUFFIXES
from faceren.runs.storage import spelled
from faceren.runs.stored import Files

END = b"\0" * tarfile.BLOCKSIZE
"""What stands after the last member of a whole tar."""
COMPRESSED = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7z": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}
"""How compressed files begin, and what decompresses them."""


@dataclass(frozen=True)
class Member:
    """One image in a shard."""

    shard: Path
    key: str
    """Its name in there, with forward slashes."""
    start: int
    """Where its bytes begin."""
    size: int
    """How many they are."""

    def __str__(self) -> str:
        return f"{spelled(self.shard)}/{self.key}"


def index_of(key: str, shard: Path, files: Files) -> list[Member]:
    """Return the images of a shard, in the order that a folder of them would have.

    Other members (labels, captions, links, hidden names) are left out.

    Args:
        key: Recipe key of the shard, for messages.
        shard: A tar file, not compressed.
        files: Reads it.

    Raises:
        ConfigError: If it is compressed, damaged, cut short or holds no image.
        MachineError: If it is in a store that does not give it.
    """
    name = shown(spelled(shard))
    try:
        with files.opened(shard) as file:
            head = file.read(4)
            for magic, tool in COMPRESSED.items():
                if head.startswith(magic):
                    raise ConfigError(
                        f"{key}: {name}: expected a tar that is not compressed, as its "
                        f"images are read in any order; {tool} it first"
                    )
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = [member for member in tar if member.isreg() and not member.issparse()]
            file.seek(tar.offset)
            if file.read(len(END)) != END:
                raise tarfile.ReadError("unexpected end of data")
    except (tarfile.TarError, OSError, ValueError) as error:
        raise ConfigError(
            f"{key}: {name}: expected a whole tar file of images ({error}); copy or make it again"
        ) from error
    found = []
    for member in members:
        place = PurePosixPath(member.name)
        if place.suffix.lower() in SUFFIXES and not any(p.startswith(".") for p in place.parts):
            found.append(Member(shard, place.as_posix(), member.offset_data, member.size))
    if not found:
        raise ConfigError(
            f"{key}: {name}: expected images, but none of its {len(members)} files "
            f"has the suffix of one"
        )
    return sorted(found, key=lambda member: PurePosixPath(member.key).parts)


def read_member(member: Member, files: Files) -> Rgb8:
    """Return an image as it is seen, (H, W, 3).

    Args:
        member: Its place.
        files: Reads it.

    Raises:
        ImageError: If it cannot be read.
        MachineError: If it is in a store that does not give it.
    """
    try:
        data = files.read(member.shard, member.start, member.start + member.size)
    except OSError as error:
        raise ImageError(f"{shown(str(member))}: {error.strerror}") from error
    if len(data) < member.size:
        raise ImageError(f"{shown(str(member))}: the shard has become shorter")
    # the readers of pictures take files: they ask for them by name, size and time
    with tempfile.TemporaryDirectory(prefix="faceren-") as folder:
        file_ = Path(folder) / f"image{PurePosixPath(member.key).suffix}"
        file_.write_bytes(data)
        try:
            return read_rgb(file_)
        except ImageError as error:
            told = str(error).replace(shown(file_), shown(str(member)))
            raise type(error)(told) from error
