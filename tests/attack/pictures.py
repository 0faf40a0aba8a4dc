"""What reads pictures, as targets of the long form; the suite's own are in ``tests/images``."""

import contextlib
import zlib
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from faceren.errors import ImageError
from faceren.images.metadata import xmp
from tests.attack.targets import Target
from tests.images.changing import NOTE
from tests.images.samples import XMP
from tests.images.seeds import damaged
from tests.images.test_hostile import HOSTILE, PARSERS, SEEDS, STARTS, STEPS, TARGETS, tried


def _restored(name: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        path = folder / f"a.{name}"
        path.write_bytes(data)
        draw = zlib.crc32(data)
        tried(path, TARGETS[draw % len(TARGETS)], 2 if draw % 7 == 0 else 1)

    return read


def _parsed(kind: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        for parser in PARSERS[kind]:
            with contextlib.suppress(ImageError):
                parser(data)

    return read


def _annotated(data: bytes, folder: Path) -> None:
    for change in (lambda d: d, xmp.unannounced, lambda d: xmp.enlarged(d, 2)):
        with contextlib.suppress(ImageError):
            again = xmp.Packet(xmp.annotated(change(data), NOTE))
            keys = [node.key for node in again.nodes]
            assert keys.count((xmp.IPTC_NAMESPACE, "DigitalSourceType")) == 1


PICTURES = {
    f"a.{name}": Target(_restored(name), st.builds(damaged, st.just(data), STEPS))
    for name, data in SEEDS.items()
}
PICTURES |= {
    f"{kind} parts": Target(
        _parsed(kind), st.builds(bytes.__add__, st.sampled_from(STARTS), st.binary(max_size=600))
    )
    for kind in PARSERS
}
PICTURES["xmp packet"] = Target(_annotated, st.binary(max_size=200).map(lambda d: XMP + d))
WHOLE: dict[str, list[bytes]] = {
    name: [SEEDS[name[2:]]] * 4 for name in PICTURES if name[:2] == "a."
}
WHOLE |= {f"{kind} parts": [*SEEDS.values()] for kind in PARSERS}
WHOLE["xmp packet"] = [XMP] * 20
if HOSTILE.is_dir():
    for path in sorted(HOSTILE.iterdir()):
        kind = {"jpg": "jpg", "png": "png", "tif": "tif", "webp": "webp"}.get(path.suffix[1:])
        if kind and path.stat().st_size < 100_000:
            WHOLE[f"a.{kind}"].append(path.read_bytes())
