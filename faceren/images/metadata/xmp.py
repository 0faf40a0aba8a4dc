"""Change an XMP packet in a few places, and keep every other byte of it.

A parser finds where elements and attributes stand in the text; only these places are cut out or
replaced. XMP: Adobe XMP Specification Part 1 (ISO 16684-1). Digital source type: IPTC Photo
Metadata Standard 2023.2, NewsCodes ``digitalsourcetype``.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Any
from xml.parsers import expat

from faceren import __version__
from faceren.errors import ImageError

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
IPTC_NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OUR_NAMESPACE = "urn:faceren:xmp:1"
FIELDS = ("RestoredBy", "WeightsName", "WeightsSHA256", "Strength", "OriginalSHA256", "Repaired")
RDF_NAMESPACE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NOTE_NAMESPACE = "http://ns.adobe.com/xmp/note/"
EXIF_NAMESPACE = "http://ns.adobe.com/exif/1.0/"
TIFF_NAMESPACE = "http://ns.adobe.com/tiff/1.0/"
CAMERA_NAMESPACE = "http://ns.google.com/photos/1.0/camera/"
PICTURES = ("http://ns.adobe.com/xap/1.0/", "Thumbnails")
PICTURE = ("http://ns.adobe.com/xap/1.0/g/img/", "image")
ANNOUNCING = {
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/container/item/",
    "http://ns.google.com/photos/dd/1.0/device/",
}
"""Namespaces of what says that a gain map, a video or more stands behind the picture."""
SIZED = {
    (EXIF_NAMESPACE, "PixelXDimension"),
    (EXIF_NAMESPACE, "PixelYDimension"),
    (TIFF_NAMESPACE, "ImageWidth"),
    (TIFF_NAMESPACE, "ImageLength"),
    (TIFF_NAMESPACE, "XResolution"),
    (TIFF_NAMESPACE, "YResolution"),
}
"""What names the size in pixels, or the pixels an inch."""
MOST_NODES, DEEPEST = 400_000, 200
"""Elements and attributes that are read of a packet, and elements in elements. Real ones have some
thousand; those that programs have filled with the names of all ancestors, a hundred thousand.
"""
EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{RDF_NAMESPACE}">\n'
    "</rdf:RDF>\n</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
).encode()
QUOTE = re.compile(rb"[>\"']")
SPACE = re.compile(rb"\s*")
NAME = re.compile(rb"[^\s/>]*")
ATTRIBUTE = re.compile(rb"([^\s=/>]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
NUMBER = re.compile(rb"\s*(\d{1,10})(?!\d)")

Cut = tuple[int, int, bytes]
"""A place in the text, and what stands there instead."""


@dataclass(frozen=True)
class Restoration:
    """What to write down about a restoration."""

    model: str
    """Name of the weights."""
    weights_sha256: str
    """Hash of the weights file, 64 hexadecimal digits."""
    software: str = f"faceren {__version__}"
    strength: float | None = None
    """Share of the change that was asked for, in [0, 1]; None is not said."""
    original_sha256: str = ""
    """Hash of the file that was restored; empty is not said."""
    repaired: str = ""
    """What was repaired of the print, in words; empty is not said."""


@dataclass(slots=True)
class Node:
    """An element or attribute, and where it stands."""

    namespace: str
    name: str
    start: int
    end: int = 0
    inner: tuple[int, int] = (0, 0)
    """Where the value stands: between an element's tags, or an attribute's quotes."""
    parent: "Node | None" = None
    is_attribute: bool = False
    declared: list[bytes] = field(default_factory=list)
    """Namespaces that an element declares, as written."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


class Packet:
    """An XMP packet, UTF-8, with the places of all that it says.

    Raises:
        ImageError: If it is too large to be read.
        ValueError: If it is no XML, or has no RDF, or declares entities.
    """

    def __init__(self, packet: bytes) -> None:
        wide = packet[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = packet.decode("utf-16" if wide else "utf-8-sig").rstrip("\0")
        self.text = text.encode()
        self.nodes: list[Node] = []
        self._open: list[Node] = []
        self._parser = expat.ParserCreate("utf-8", " ")
        self._parser.ordered_attributes = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse
        try:
            self._parser.Parse(self.text, True)  # noqa: FBT003 (the parser's own signature)
        except expat.ExpatError as error:
            raise ValueError(f"no XML: {error}") from error
        found = [node for node in self.nodes if node.key == (RDF_NAMESPACE, "RDF")]
        if not found:
            raise ValueError("no RDF")
        self.rdf = found[-1]

    def _refuse(self, *_: Any) -> None:
        raise ValueError("XMP declares no types; entities are a way to attack")

    def _start(self, name: str, attributes: list[str]) -> None:
        start = self._parser.CurrentByteIndex
        end = self._tag_end(start)
        namespace, _, local = name.rpartition(" ")
        parent = self._open[-1] if self._open else None
        node = Node(namespace, local, start, inner=(end, end), parent=parent)
        self.nodes.append(node)
        self._open.append(node)
        if self.text.find(b"=", start, end) >= 0:
            position = NAME.match(self.text, start + 1).end()  # type: ignore[union-attr]
            self._attributes(node, iter(attributes[::2]), position, end)
        if len(self.nodes) > MOST_NODES or len(self._open) > DEEPEST:
            raise ImageError(
                f"XMP of more than {MOST_NODES:,} elements, or {DEEPEST} in each other; "
                f"shorten or remove it first"
            )

    def _attributes(self, node: Node, names: Iterator[str], position: int, end: int) -> None:
        while position < end:
            place = SPACE.match(self.text, position).end()  # type: ignore[union-attr]
            found = ATTRIBUTE.match(self.text, place, end)
            if found is None:
                return
            if found[1] == b"xmlns" or found[1].startswith(b"xmlns:"):
                node.declared.append(found[0])
            else:
                namespace, _, local = next(names, "").rpartition(" ")
                inner = (found.start(2) + 1, found.end(2) - 1)
                self.nodes.append(
                    Node(namespace, local, position, found.end(), inner, node, is_attribute=True)
                )
            position = found.end()

    def _tag_end(self, start: int) -> int:
        position = start
        while (found := QUOTE.search(self.text, position)) is not None:
            if found[0] == b">":
                return found.end()
            position = self.text.find(found[0], found.end()) + 1
            if position == 0:
                break
        return len(self.text)

    def _end(self, _: str) -> None:
        node, place = self._open.pop(), self._parser.CurrentByteIndex
        if self.text[node.inner[0] - 2 : node.inner[0]] == b"/>":  # it is all of the element
            node.end = node.inner[0]
            return
        node.inner = (node.inner[0], place)
        node.end = self._tag_end(place)

    @property
    def is_rdf_closed(self) -> bool:
        """Whether the RDF element has an end tag."""
        return self.rdf.end > self.rdf.inner[1]

    def cut(self, wanted: Callable[[Node], bool]) -> list[Cut]:
        """Return the places of all nodes that are wanted, with the space around them."""
        cuts: list[Cut] = []
        for node in self.nodes:
            if not wanted(node):
                continue
            end = node.end
            if not node.is_attribute:
                end = SPACE.match(self.text, end).end()  # type: ignore[union-attr]
            cuts.append((node.start, end, b""))
        return cuts

    def edited(self, cuts: Iterable[Cut]) -> bytes:
        """Return the text with some places replaced; a place inside another is left to that."""
        pieces, position = [], 0
        for start, end, new in sorted(cuts):
            if start < position:
                continue
            pieces += [self.text[position:start], new]
            position = end
        return b"".join([*pieces, self.text[position:]])


def parsed(packet: bytes) -> Packet | None:
    """Return a packet with its places; None if it is no XMP that can be changed."""
    try:
        return Packet(packet)
    except (ValueError, UnicodeError):
        return None


def annotated(packet: bytes, note: Restoration) -> bytes:
    """Return an XMP packet with the note in it, UTF-8; everything else in it is kept verbatim.

    Args:
        packet: The photo's XMP; nothing, or what cannot be parsed, is replaced by a new packet.
        note: What to say; an earlier note of ours and an earlier source type are replaced.
    """
    known = parsed(packet) or Packet(EMPTY)
    strength = "" if note.strength is None else f"{note.strength:g}"
    said = (
        note.software, note.model, note.weights_sha256, strength, note.original_sha256,
        note.repaired,
    )  # fmt: skip
    values = [(name, text) for name, text in zip(FIELDS, said, strict=True) if text]
    ours = "".join(
        f"<faceren:{name}>{escape(v, quote=False)}</faceren:{name}>\n" for name, v in values
    )
    rdf, declared, subject = _names(known)
    description = (
        f"<{rdf}:Description {rdf}:about={subject}\n"
        f'{declared}  xmlns:Iptc4xmpExt="{IPTC_NAMESPACE}"\n'
        f'  xmlns:faceren="{OUR_NAMESPACE}">\n'
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>\n"
        f"{ours}</{rdf}:Description>\n"
    )
    return _with_description(known, _notes(known), description.encode())


def _notes(known: Packet) -> list[Cut]:
    """Return the places of earlier notes; a description that holds nothing else goes with them."""
    said: dict[int, list[Node]] = {}
    for node in known.nodes:
        if node.parent is not None and node.key != (RDF_NAMESPACE, "about"):
            said.setdefault(id(node.parent), []).append(node)
    emptied = {
        id(node)
        for node in known.nodes
        if node.key == (RDF_NAMESPACE, "Description")
        and said.get(id(node))
        and all(map(_is_note, said[id(node)]))
    }
    return known.cut(lambda node: _is_note(node) or id(node) in emptied)


def _is_note(node: Node) -> bool:
    ours = node.namespace == OUR_NAMESPACE and node.name in FIELDS
    return ours or node.key == (IPTC_NAMESPACE, "DigitalSourceType")


def _with_description(known: Packet, cuts: list[Cut], description: bytes) -> bytes:
    end = known.rdf.inner[1]
    if known.is_rdf_closed:
        return known.edited([*cuts, (end, end, description)])
    tag = known.text[known.rdf.start : known.rdf.end]
    name = NAME.match(tag, 1)[0]  # type: ignore[index]
    opened = tag[:-2] + b">" + description + b"</" + name + b">"
    return known.edited([*cuts, (known.rdf.start, known.rdf.end, opened)])


def _names(known: Packet) -> tuple[str, str, str]:
    """Return the prefix of RDF, its declaration if there is none, and what the packet is about."""
    tag = known.text[known.rdf.start + 1 : known.rdf.inner[0]]
    prefix, colon, _ = NAME.match(tag)[0].decode().partition(":")  # type: ignore[index]
    subject = '""'  # all descriptions of a packet have the same subject
    for node in known.nodes:
        if node.is_attribute and node.key == (RDF_NAMESPACE, "about"):
            subject = known.text[node.inner[0] - 1 : node.inner[1] + 1].decode()
            break
    return (prefix, "", subject) if colon else ("rdf", f'  xmlns:rdf="{RDF_NAMESPACE}"\n', subject)


def unannounced(packet: bytes) -> bytes:
    """Return a packet without what says that more stands behind the picture, which is not there."""
    known = parsed(packet)
    if known is None:
        return packet

    def announces(node: Node) -> bool:
        moving = node.name.startswith(("Motion", "MicroVideo"))
        return node.namespace in ANNOUNCING or (node.namespace == CAMERA_NAMESPACE and moving)

    cuts = known.cut(announces)
    return known.edited(cuts) if cuts else packet


def with_pictures(packet: bytes, renewed: Callable[[bytes], bytes]) -> tuple[bytes, bool]:
    """Return a packet with new thumbnails, and whether some had to be left out.

    Args:
        packet: An XMP packet, or what cannot be parsed, which stays as it is.
        renewed: Makes the new picture from the old one; nothing leaves all of them out.
    """
    known = parsed(packet)
    if known is None or PICTURE[0].encode() not in known.text:
        return packet, False
    cuts: list[Cut] = []
    for node in known.nodes:
        if node.key == PICTURE:
            text = unescape(known.text[slice(*node.inner)].decode())
            try:
                new = renewed(base64.b64decode(text))
            except ValueError:
                new = b""
            if not new:
                gone = known.cut(lambda node: node.key in (PICTURES, PICTURE))
                return known.edited(gone), True
            cuts.append((*node.inner, base64.b64encode(new)))
    return known.edited(cuts), False


def enlarged(packet: bytes, scale: int) -> bytes:
    """Return a packet whose sizes and resolutions are multiplied."""
    known = parsed(packet)
    if known is None:
        return packet
    cuts = []
    for node in known.nodes:
        found = NUMBER.match(known.text, *node.inner) if node.key in SIZED else None
        if found is not None:
            cuts.append((found.start(1), found.end(1), str(int(found[1]) * scale).encode()))
    return known.edited(cuts) if cuts else packet


def extension_of(packet: bytes) -> bytes:
    """Return the GUID of the extension that a packet names, or nothing."""
    known = parsed(packet)
    for node in known.nodes if known else []:
        if node.key == (NOTE_NAMESPACE, "HasExtendedXMP") and known is not None:
            return known.text[slice(*node.inner)].strip()
    return b""


def merged(packet: bytes, extension: bytes) -> bytes:
    """Return a packet with all that its extension says in it.

    Raises:
        ValueError: If either is no XMP.
    """
    known, more = Packet(packet), Packet(extension)
    around = list[bytes]()
    above: Node | None = more.rdf
    while above is not None:
        around += above.declared
        above = above.parent
    pieces = [
        _alone(more, node, around)
        for node in more.nodes
        if node.parent is more.rdf and not node.is_attribute
    ]
    cuts = known.cut(lambda node: node.key == (NOTE_NAMESPACE, "HasExtendedXMP"))
    return _with_description(known, cuts, b"".join(pieces))


def _alone(whole: Packet, node: Node, around: list[bytes]) -> bytes:
    """Return an element with the namespaces that are declared around it, the nearest first."""
    text = whole.text[node.start : node.end]
    names = {declaration.split(b"=")[0].strip() for declaration in node.declared}
    inherited = b""
    for declaration in around:
        name = declaration.split(b"=")[0].strip()
        if name not in names:
            names.add(name)
            inherited += b" " + declaration
    length = NAME.match(text, 1).end()  # type: ignore[union-attr]
    return text[:length] + inherited + text[length:] + b"\n"


def split(packet: bytes, edit: Callable[[bytes], bytes]) -> tuple[bytes, bytes, bytes]:
    """Return a packet too long for one segment of a JPEG as packet, GUID and extension.

    Args:
        packet: What the photo says.
        edit: Adds what has to stand in the packet itself.

    Raises:
        ValueError: If it is no XMP.
    """
    whole = Packet(packet)
    root = next(node for node in whole.nodes if node.parent is None)
    bare = Packet(whole.text[root.start : root.end])
    extension = bare.edited(_notes(bare))
    guid = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    known = Packet(edit(EMPTY))
    rdf, declared, subject = _names(known)
    description = (
        f"<{rdf}:Description {rdf}:about={subject}\n"
        f'{declared}  xmlns:xmpNote="{NOTE_NAMESPACE}" xmpNote:HasExtendedXMP="{guid.decode()}"/>\n'
    )
    return _with_description(known, [], description.encode()), guid, extension
