"""Say in a photo's XMP that it was restored, and keep all else that the XMP says.

XMP: Adobe XMP Specification Part 1 (ISO 16684-1). Digital source type: IPTC Photo Metadata
Standard 2023.2, NewsCodes ``digitalsourcetype``.
"""

import re
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from faceren import __version__

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
IPTC_NAMESPACE = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OUR_NAMESPACE = "urn:faceren:xmp:1"
FIELDS = ("RestoredBy", "WeightsName", "WeightsSHA256")
RDF_NAMESPACE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f'<rdf:RDF xmlns:rdf="{RDF_NAMESPACE}">\n'
    "</rdf:RDF>\n</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
)
ATTRIBUTE = r"\s+{prefix}:{name}\s*=\s*(?:\"[^\"]*\"|'[^']*')"
ELEMENT = r"<{prefix}:{name}(?:\s[^>]*)?(?:/>|>.*?</{prefix}:{name}\s*>)\s*"


@dataclass(frozen=True)
class Restoration:
    """What to write down about a restoration."""

    model: str
    """Name of the weights."""
    weights_sha256: str
    """Hash of the weights file, 64 hexadecimal digits."""
    software: str = f"faceren {__version__}"


def annotated(packet: bytes, note: Restoration) -> bytes:
    """Return an XMP packet with the note in it, UTF-8; everything else in it is kept verbatim.

    Args:
        packet: The photo's XMP; nothing, or what cannot be parsed, is replaced by a new packet.
        note: What to say; an earlier note of ours and an earlier source type are replaced.
    """
    text = _readable(packet) or EMPTY
    for prefix in _prefixes(text, IPTC_NAMESPACE):
        text = _without(text, prefix, "DigitalSourceType")
    for prefix in _prefixes(text, OUR_NAMESPACE):
        for name in FIELDS:
            text = _without(text, prefix, name)
    end = list(re.finditer(r"</([\w.-]+:)?RDF\s*>", text))[-1]
    return (text[: end.start()] + _description(text, note) + text[end.start() :]).encode()


def _readable(packet: bytes) -> str:
    """Return the packet's text, or nothing if it is no XMP that can be extended."""
    try:
        wide = packet[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = packet.decode("utf-16" if wide else "utf-8-sig").rstrip("\0")
        if "<!DOCTYPE" in text:  # XMP has none; entities are a way to attack
            return ""
        root = ElementTree.fromstring(text)  # no DTD, so no entities
    except (UnicodeDecodeError, ElementTree.ParseError):
        return ""
    tag = f"{{{RDF_NAMESPACE}}}RDF"
    rdf = root if root.tag == tag else root.find(f".//{tag}")
    closed = re.search(r"</([\w.-]+:)?RDF\s*>", text)
    return text if rdf is not None and closed else ""


def _prefixes(text: str, namespace: str) -> list[str]:
    quoted = rf"[\"']{re.escape(namespace)}[\"']"
    return sorted(set(re.findall(rf"xmlns:([\w.-]+)\s*=\s*{quoted}", text)))


def _without(text: str, prefix: str, name: str) -> str:
    fields = {"prefix": re.escape(prefix), "name": name}
    text = re.sub(ATTRIBUTE.format(**fields), "", text)
    return re.sub(ELEMENT.format(**fields), "", text, flags=re.DOTALL)


def _description(text: str, note: Restoration) -> str:
    rdf = (_prefixes(text, RDF_NAMESPACE) or ["rdf"])[0]
    about = re.search(rf"{re.escape(rdf)}:about\s*=\s*(\"[^\"]*\"|'[^']*')", text)
    subject = about[1] if about else '""'  # all descriptions of a packet have the same subject
    values = zip(FIELDS, (note.software, note.model, note.weights_sha256), strict=True)
    ours = "".join(f"<faceren:{name}>{escape(v)}</faceren:{name}>\n" for name, v in values)
    return (
        f"<{rdf}:Description {rdf}:about={subject}\n"
        f'  xmlns:Iptc4xmpExt="{IPTC_NAMESPACE}"\n'
        f'  xmlns:faceren="{OUR_NAMESPACE}">\n'
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>\n"
        f"{ours}</{rdf}:Description>\n"
    )
