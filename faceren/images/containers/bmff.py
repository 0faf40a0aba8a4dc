"""The boxes of HEIC, AVIF and JPEG 2000 files, and the items of the first two.

ISO/IEC 14496-12 (boxes, items), ISO/IEC 23008-12 (HEIF: properties, references). A picture is
replaced in its container: every other item, property, reference and box keeps its bytes, so that
depth maps, gain maps, further pictures, EXIF and the description of colours stay what they were.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from faceren.errors import ImageError
from faceren.images.containers import Part

MOST_BOXES = 100_000
"""Boxes, items, extents or references that are read of one file; real ones have some hundred."""
DESCRIPTIVE = {b"hvcC", b"av1C", b"ispe", b"pixi", b"clap", b"a1op", b"a1lx", b"lsel", b"tilC"}
"""Properties that belong to how a picture is coded."""
TURNING = {b"irot", b"imir"}
AS_THEY_ARE = (0, 1, 2, 3)
"""The corners of a picture: above left and right, below left and right."""
TURNED = {b"irot": {0: (0, 1, 2, 3), 1: (1, 3, 0, 2), 2: (3, 2, 1, 0), 3: (2, 0, 3, 1)}}
TURNED[b"imir"] = {0: (2, 3, 0, 1), 1: (1, 0, 3, 2)}
"""Which corner comes to each place: turned left by quarters, rows or columns exchanged."""
ORIENTATIONS = {
    AS_THEY_ARE: 1,
    (1, 0, 3, 2): 2,
    (3, 2, 1, 0): 3,
    (2, 3, 0, 1): 4,
    (0, 2, 1, 3): 5,
    (2, 0, 3, 1): 6,
    (3, 1, 2, 0): 7,
    (1, 3, 0, 2): 8,
}
"""EXIF's number of a turn, by the corners that come to each place."""
NCLX = b"nclx"
"""How a ``colr`` property begins that names colours by the code points of ITU-T H.273."""
DERIVED = {b"grid", b"iovl", b"iden"}
"""Kinds of items that are made of other pictures."""
CODED = {b"hvc1", b"av01", b"avc1", b"jpeg"}
"""Kinds of items that are pictures by themselves."""
XMP_TYPE = b"application/rdf+xml"
OFFSETS = {0: "", 2: "H", 4: "I", 8: "Q"}
"""Bytes of an offset or a length, as the file announces them, and how to read them."""
DAMAGE = (struct.error, LookupError, ValueError, OverflowError)


def boxes(data: bytes) -> Iterator[Part]:
    """Yield name and content of each box; one that is longer than the data ends with them.

    Raises:
        ImageError: If there are too many.
    """
    position = 0
    for _ in range(MOST_BOXES):
        if position + 8 > len(data):
            return
        size, name = struct.unpack_from(">I4s", data, position)
        head = 8
        if size == 1 and position + 16 <= len(data):
            (size,), head = struct.unpack_from(">Q", data, position + 8), 16
        end = position + size if size else len(data)
        yield name, data[position + head : end]
        position = max(end, position + head)
    raise ImageError("damaged file: too many boxes")


def box(name: bytes, content: bytes) -> bytes:
    """Return a box as bytes."""
    size = len(content) + 8
    if size >= 2**32:
        return struct.pack(">I4sQ", 1, name, size + 8) + content
    return struct.pack(">I4s", size, name) + content


@dataclass
class Item:
    """An item: a picture, EXIF, XMP."""

    number: int
    kind: bytes
    """Four letters."""
    entry: bytes
    """What the ``infe`` box says."""
    content: bytes = b""
    inside: int | None = None
    """Where in the ``idat`` box, which is kept as it is, the content lies; None: in the file."""
    properties: list[tuple[int, bool]] = field(default_factory=list)
    """Numbers of properties, from 0, in the order in which they apply; whether essential."""

    @property
    def hidden(self) -> bool:
        """Whether it is not to be shown by itself."""
        return bool(self.entry[3] & 1)

    @property
    def is_xmp(self) -> bool:
        """Whether it is an XMP packet."""
        return self.kind == b"mime" and XMP_TYPE in self.entry

    def with_kind(self, kind: bytes) -> "Item":
        """Return the item as another kind of coded picture."""
        at = self.entry.index(self.kind, 4)
        return replace(self, kind=kind, entry=self.entry[:at] + kind + self.entry[at + 4 :])


@dataclass
class Reference:
    """A reference from one item to others."""

    kind: bytes
    source: int
    targets: list[int]


@dataclass
class Container:
    """A HEIC or AVIF file, taken apart."""

    outside: list[Part]
    """The file's boxes; ``meta`` and ``mdat`` are without content."""
    others: list[Part]
    """Boxes of ``meta`` that are not taken apart."""
    primary: int
    """Number of the picture that is the photo."""
    items: dict[int, Item]
    properties: list[Part]
    references: list[Reference]

    @property
    def picture(self) -> Item:
        """The photo."""
        return self.items[self.primary]

    def property_of(self, item: Item, name: bytes, start: bytes = b"") -> bytes | None:
        """Return the content of an item's property of a name, if it begins so; None without."""
        for number, _ in item.properties:
            known, content = self.properties[number]
            if known == name and content.startswith(start):
                return content
        return None

    def pointing_at(self, number: int, kind: bytes) -> list[int]:
        """Return the items that refer to one in a way, such as ``thmb`` to their picture."""
        return [r.source for r in self.references if r.kind == kind and number in r.targets]

    def described_by(self, kind: bytes) -> Item | None:
        """Return the first item of a kind that describes the photo: ``Exif`` or ``mime``."""
        for number in self.pointing_at(self.primary, b"cdsc"):
            item = self.items.get(number)
            if item is not None and item.kind == kind and (kind != b"mime" or item.is_xmp):
                return item
        return None

    def size_of(self, item: Item) -> tuple[int, int]:
        """Return width and height of a picture as it is stored, cut (``clap``), not turned.

        Raises:
            ImageError: If it does not say so.
        """
        content = self.property_of(item, b"ispe")
        if content is None or len(content) < 12:
            raise ImageError("damaged file: a picture of no size")
        width, height = struct.unpack_from(">II", content, 4)
        cut = self.cut_of(item, width, height)
        return (width, height) if cut is None else (cut[2] - cut[0], cut[3] - cut[1])

    def cut_of(self, item: Item, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Return the part of a picture that is to be seen (``clap``), as x0, y0, x1, y1.

        None if all of it is. What turns the picture comes after the cut (MIAF, 7.3.6.7).

        Args:
            item: The picture.
            width: Of the coded picture.
            height: Of the coded picture.

        Raises:
            ImageError: If the part does not lie in the picture, or is cut after a turn.
        """
        names = [self.properties[number][0] for number, _ in item.properties]
        if b"clap" not in names:
            return None
        if TURNING & set(names[: names.index(b"clap")]):
            raise ImageError("a picture that is cut after it was turned; save it anew first")
        try:
            numbers = struct.unpack_from(">4IiIiI", self.property_of(item, b"clap") or b"")
            w, h, right, down = (Fraction(*numbers[at : at + 2]) for at in (0, 2, 4, 6))
        except (struct.error, ZeroDivisionError) as error:
            raise ImageError("damaged file: a picture that is cut to nothing") from error
        x0, y0 = int((width - w) / 2 + right), int((height - h) / 2 + down)
        x1, y1 = x0 + int(w), y0 + int(h)
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise ImageError("damaged file: a picture that is cut outside of itself")
        return x0, y0, x1, y1

    def orientation(self) -> int:
        """Return the photo's orientation as EXIF counts it: what ``irot`` and ``imir`` do.

        They apply in their order.
        """
        corners = AS_THEY_ARE
        for number, _ in self.picture.properties:
            name, content = self.properties[number]
            if name in TURNING and content:
                a, b, c, d = TURNED[name][content[0] & (3 if name == b"irot" else 1)]
                corners = corners[a], corners[b], corners[c], corners[d]
        return ORIENTATIONS[corners]

    @property
    def is_av1(self) -> bool:
        """Whether the photo, or what it is made of, is coded as in an AVIF file."""
        made_of = [
            r.targets for r in self.references if (r.kind, r.source) == (b"dimg", self.primary)
        ]
        kinds = [self.items[n].kind for targets in made_of for n in targets if n in self.items]
        return b"av01" in (self.picture.kind, *kinds)


def parse(data: bytes) -> Container:
    """Take a HEIC or AVIF file apart.

    Raises:
        ImageError: If it is damaged, or holds its items in another file.
    """
    try:
        outside = list(boxes(data))
        meta = next(content for name, content in outside if name == b"meta")
        parts = list(boxes(meta[4:]))
        named = dict(parts)
        iinf = named[b"iinf"]
        items: dict[int, Item] = {}
        for name, entry in boxes(iinf[6 if iinf[0] == 0 else 8 :]):
            if name == b"infe" and entry[0] in (2, 3):
                layout = ">HH4s" if entry[0] == 2 else ">IH4s"
                number, _, kind = struct.unpack_from(layout, entry, 4)
                items[number] = Item(number, kind, entry)
        _locate(items, named[b"iloc"], data, named.get(b"idat", b""))
        pitm, wide = named[b"pitm"], named[b"pitm"][0]
        (primary,) = struct.unpack_from(">I" if wide else ">H", pitm, 4)
        properties = list(boxes(dict(boxes(named[b"iprp"]))[b"ipco"]))
        for name, content in boxes(named[b"iprp"]):
            if name == b"ipma":
                _associate(items, content, len(properties))
        references = _references(named.get(b"iref"))
        if primary not in items:
            raise LookupError("no primary picture")
    except StopIteration:
        raise ImageError("damaged file: it describes no picture") from None
    except DAMAGE as error:
        raise ImageError(f"damaged file: its items cannot be told apart ({error})") from error
    apart = (b"iinf", b"iloc", b"pitm", b"iprp", b"iref")
    return Container(
        [(name, b"" if name in (b"meta", b"mdat") else content) for name, content in outside],
        [part for part in parts if part[0] not in apart],
        primary,
        items,
        properties,
        references,
    )


@dataclass
class _Reader:
    data: bytes
    position: int

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from(">" + layout, self.data, self.position)
        self.position += struct.calcsize(">" + layout)
        return values


def _locate(items: dict[int, Item], iloc: bytes, data: bytes, idat: bytes) -> None:
    """Fill in what the items contain."""
    table = _Reader(iloc, 4)
    version, number = iloc[0], "H" if iloc[0] < 2 else "I"
    sizes, more = table.take("BB")
    offset, length, base = OFFSETS[sizes >> 4], OFFSETS[sizes & 15], OFFSETS[more >> 4]
    index = OFFSETS[more & 15] if version else ""
    left = len(data)  # items may share bytes, but not so that a small file becomes a large one
    for _ in range(min(table.take(number)[0], MOST_BOXES)):
        (item,) = table.take(number)
        method = table.take("H")[0] & 15 if version else 0
        (elsewhere,) = table.take("H")
        start = sum(table.take(base))
        pieces = []
        for _ in range(min(table.take("H")[0], MOST_BOXES)):
            table.take(index)
            pieces.append((start + sum(table.take(offset)), sum(table.take(length))))
        if item not in items:
            continue
        if elsewhere or method > 1:
            raise ImageError("its items lie in another file or in each other; convert it first")
        source = idat if method == 1 else data
        content = b"".join(source[at : at + size if size else None] for at, size in pieces)
        left -= len(content)
        if left < 0:
            raise ImageError("damaged file: its items overlap")
        items[item].content = content
        items[item].inside = pieces[0][0] if method == 1 and len(pieces) == 1 else None


def _associate(items: dict[int, Item], ipma: bytes, known: int) -> None:
    table, large = _Reader(ipma, 4), ipma[3] & 1
    number = "I" if ipma[0] else "H"
    for _ in range(min(table.take("I")[0], MOST_BOXES)):
        (item,) = table.take(number)
        for _ in range(table.take("B")[0]):
            (value,) = table.take("H" if large else "B")
            essential, place = value >> (15 if large else 7), value & (0x7FFF if large else 0x7F)
            if item in items and 0 < place <= known:
                items[item].properties.append((place - 1, bool(essential)))


def _references(iref: bytes | None) -> list[Reference]:
    if iref is None:
        return []
    number, size = (">I", 4) if iref[0] else (">H", 2)
    found = []
    for kind, content in boxes(iref[4:]):
        (source,) = struct.unpack_from(number, content)
        (count,) = struct.unpack_from(">H", content, size)
        targets = struct.unpack_from(f">{count}{number[1]}", content, size + 2)
        found.append(Reference(kind, source, list(targets)))
    return found


def with_picture(whole: Container, number: int, coded: Container) -> Container:
    """Return a container in which a picture is the primary one of another container.

    What says how it is coded comes from there, all else stays: how it is turned, its profile, its
    colours. Hidden pictures that only the old one was made of go.

    Args:
        whole: Changed by no means.
        number: The item whose picture is replaced.
        coded: Holds the new one; of the same pixels' colours.
    """
    old, new = whole.items[number], coded.picture
    described = whole.property_of(old, b"colr", b"nclx")
    fresh: dict[bytes, tuple[bytes, bool]] = {}
    for place, essential in new.properties:
        name, content = coded.properties[place]
        if name in DESCRIPTIVE:
            fresh[name] = content, essential
        elif name == b"colr" and described is not None:  # matrix and range are the encoder's
            fresh[NCLX] = described[:8] + content[8:], essential
    properties, chosen = list(whole.properties), list[tuple[int, bool]]()

    shared = {p for item in whole.items.values() if item is not old for p, _ in item.properties}

    def choose(name: bytes, instead: int | None = None) -> None:
        content, essential = fresh.pop(name)
        part = (b"colr" if name == NCLX else name, content)
        if instead is None or instead in shared:
            properties.append(part)
            instead = len(properties) - 1
        properties[instead] = part
        chosen.append((instead, essential))

    for place, essential in old.properties:
        name, content = whole.properties[place]
        kind = NCLX if content[:4] == NCLX else name
        if kind in fresh:
            choose(kind, place)
        elif kind not in (*DESCRIPTIVE, NCLX):
            if name in TURNING:  # what is to be turned is described before
                for rest in list(fresh):
                    choose(rest)
            chosen.append((place, essential))
    for rest in list(fresh):
        choose(rest)
    item = old.with_kind(new.kind)
    item = replace(item, content=new.content, inside=None, properties=chosen)
    references = whole.references
    gone: set[int] = set()
    if old.kind in DERIVED:
        made_of = [r for r in references if (r.kind, r.source) == (b"dimg", number)]
        parts = {target for reference in made_of for target in reference.targets}
        references = [r for r in references if (r.kind, r.source) != (b"dimg", number)]
        needed = {t for r in references if r.kind != b"cdsc" for t in r.targets}
        gone = {part for part in parts - needed if part in whole.items and whole.items[part].hidden}
    items = {n: i for n, i in whole.items.items() if n not in gone} | {number: item}
    references = [r for r in references if r.source not in gone]
    return replace(whole, items=items, properties=properties, references=references)


def with_xmp(whole: Container, packet: bytes) -> Container:
    """Return a container whose photo has an XMP packet instead of its own; nothing removes none."""
    items, old = dict(whole.items), whole.described_by(b"mime")
    if old is not None:
        items[old.number] = replace(old, content=packet, inside=None)
        return replace(whole, items=items)
    if not packet:
        return whole
    number = max(items) + 1
    version, code = (2, ">HH4s") if number < 2**16 else (3, ">IH4s")
    entry = bytes([version, 0, 0, 1]) + struct.pack(code, number, 0, b"mime")
    items[number] = Item(number, b"mime", entry + b"\0" + XMP_TYPE + b"\0\0", packet)
    references = [*whole.references, Reference(b"cdsc", number, [whole.primary])]
    return replace(whole, items=items, references=references)


def without(whole: Container, numbers: set[int]) -> Container:
    """Return a container without some items."""
    references = [
        replace(r, targets=[t for t in r.targets if t not in numbers])
        for r in whole.references
        if r.source not in numbers
    ]
    items = {number: item for number, item in whole.items.items() if number not in numbers}
    return replace(whole, items=items, references=[r for r in references if r.targets])


def joined(whole: Container) -> bytes:
    """Return a container as a file; sequences (``moov``), whose place would be wrong, are left out.

    Raises:
        ImageError: If it would be larger than 4 GB.
    """
    contents = {n: item.content for n, item in whole.items.items() if item.inside is None}
    payload = b"".join(contents.values())
    before = [part for part in whole.outside if part[0] not in (b"free", b"skip", b"moov")]
    names = [name for name, _ in before]
    first = names.index(b"mdat") if b"mdat" in names else len(before)
    ordered = [p for p in before[:first] if p[0] != b"mdat"]
    behind = [p for p in before[first:] if p[0] != b"mdat"]
    meta_length = len(box(b"meta", _meta(whole, dict.fromkeys(contents, 0))))
    lengths = [meta_length if name == b"meta" else len(box(name, c)) for name, c in ordered]
    start = sum(lengths) + 8
    if start + len(payload) >= 2**32:
        raise ImageError("the file would grow beyond 4 GB; use --format tiff")
    places, at = {}, start
    for number, content in contents.items():
        places[number] = at
        at += len(content)
    meta = box(b"meta", _meta(whole, places))
    pieces = [meta if name == b"meta" else box(name, content) for name, content in ordered]
    pieces.append(box(b"mdat", payload))
    pieces += [meta if name == b"meta" else box(name, content) for name, content in behind]
    return b"".join(pieces)


def _meta(whole: Container, places: dict[int, int]) -> bytes:
    """Return the content of the ``meta`` box.

    Args:
        whole: The container.
        places: Where in the file the content of each item begins.
    """
    wide = max(whole.items) >= 2**16
    number = ">I" if wide else ">H"
    used = sorted({place for item in whole.items.values() for place, _ in item.properties})
    new = {old: index + 1 for index, old in enumerate(used)}
    ipco = b"".join(box(*whole.properties[place]) for place in used)
    entries = [box(b"infe", item.entry) for item in whole.items.values()]
    iinf = struct.pack(">II", 1 << 24, len(entries)) + b"".join(entries)
    parts = [
        box(b"pitm", bytes([wide, 0, 0, 0]) + struct.pack(number, whole.primary)),
        box(b"iloc", _iloc(whole, places, wide=wide)),
        box(b"iinf", iinf),
        box(b"iprp", box(b"ipco", ipco) + box(b"ipma", _ipma(whole, new, wide=wide))),
    ]
    if whole.references:
        references = b"".join(
            box(
                r.kind,
                struct.pack(number, r.source)
                + struct.pack(f">H{len(r.targets)}{number[1]}", len(r.targets), *r.targets),
            )
            for r in whole.references
        )
        parts.append(box(b"iref", bytes([wide, 0, 0, 0]) + references))
    leading = [box(*part) for part in whole.others if part[0] == b"hdlr"]
    behind = [box(*part) for part in whole.others if part[0] != b"hdlr"]
    return bytes(4) + b"".join([*leading, *parts, *behind])


def _iloc(whole: Container, places: dict[int, int], *, wide: bool) -> bytes:
    head = bytes([2 if wide else 1, 0, 0, 0, 0x44, 0])
    located = []
    for number, item in whole.items.items():
        at = places[number] if item.inside is None else item.inside
        method = 0 if item.inside is None else 1
        layout = ">IHHHII" if wide else ">HHHHII"
        located.append(struct.pack(layout, number, method, 0, 1, at, len(item.content)))
    count = struct.pack(">I" if wide else ">H", len(located))
    return head + count + b"".join(located)


def _ipma(whole: Container, new: dict[int, int], *, wide: bool) -> bytes:
    large = len(new) > 0x7F
    items = [item for item in whole.items.values() if item.properties]
    entries = []
    for item in items:
        values = [
            new[place] | (essential << (15 if large else 7)) for place, essential in item.properties
        ]
        layout = f">{'I' if wide else 'H'}B{len(values)}{'H' if large else 'B'}"
        entries.append(struct.pack(layout, item.number, len(values), *values))
    return bytes([wide, 0, 0, large]) + struct.pack(">I", len(items)) + b"".join(entries)
