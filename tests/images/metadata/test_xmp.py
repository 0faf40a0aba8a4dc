from xml.etree import ElementTree

import pytest

from faceren.images import Restoration
from faceren.images.metadata.xmp import IPTC_NAMESPACE, OUR_NAMESPACE, SOURCE_TYPE, annotated
from tests.images.samples import XMP

NOTE = Restoration(model="base", weights_sha256="ab" * 32, software="faceren 9 <&>")


def values(packet: bytes, namespace: str, name: str) -> list[str]:
    """Every value of a property, written as an element or as an attribute."""
    tag, found = f"{{{namespace}}}{name}", []
    for element in ElementTree.fromstring(packet.decode()).iter():
        found += [element.text] if element.tag == tag else []
        found += [element.attrib[tag]] if tag in element.attrib else []
    return found


@pytest.mark.parametrize("packet", [b"", b"no xml", XMP, b"<x:xmpmeta", b"<a></a>"])
def test_the_note_is_in_every_packet(packet):
    new = annotated(packet, NOTE)
    assert values(new, IPTC_NAMESPACE, "DigitalSourceType") == [SOURCE_TYPE]
    assert values(new, OUR_NAMESPACE, "WeightsSHA256") == ["ab" * 32]
    assert values(new, OUR_NAMESPACE, "RestoredBy") == ["faceren 9 <&>"]
    assert values(new, OUR_NAMESPACE, "WeightsName") == ["base"]


def test_all_else_stays_byte_for_byte():
    start, end = XMP.split(b"</rdf:RDF>")
    new = annotated(XMP, NOTE)
    assert new.startswith(start)
    assert new.endswith(b"</rdf:RDF>" + end)


@pytest.mark.parametrize(
    "old",
    [
        b'<rdf:Description rdf:about="" xmlns:q="%s" q:DigitalSourceType="scan"/>',
        b'<rdf:Description rdf:about="" xmlns:q="%s"><q:DigitalSourceType>scan'
        b"</q:DigitalSourceType></rdf:Description>",
    ],
)
def test_an_earlier_source_type_is_replaced(old):
    packet = XMP.replace(b"</rdf:RDF>", old % IPTC_NAMESPACE.encode() + b"</rdf:RDF>")
    assert values(packet, IPTC_NAMESPACE, "DigitalSourceType") == ["scan"]
    new = annotated(packet, NOTE)
    assert values(new, IPTC_NAMESPACE, "DigitalSourceType") == [SOURCE_TYPE]


def test_a_second_restoration_replaces_the_note_of_the_first():
    twice = annotated(annotated(XMP, Restoration("old", "cd" * 32)), NOTE)
    assert values(twice, OUR_NAMESPACE, "WeightsSHA256") == ["ab" * 32]
    assert values(twice, OUR_NAMESPACE, "WeightsName") == ["base"]
    assert values(twice, IPTC_NAMESPACE, "DigitalSourceType") == [SOURCE_TYPE]


def test_strength_and_the_hash_of_the_original_are_said_if_they_are_known():
    note = Restoration("base", "ab" * 32, strength=0.6, original_sha256="ef" * 32)
    known = annotated(XMP, note)
    assert values(known, OUR_NAMESPACE, "Strength") == ["0.6"]
    assert values(known, OUR_NAMESPACE, "OriginalSHA256") == ["ef" * 32]
    unsaid = annotated(known, NOTE)
    assert values(unsaid, OUR_NAMESPACE, "Strength") == []
    assert values(unsaid, OUR_NAMESPACE, "OriginalSHA256") == []


def test_the_subject_of_the_packet_is_kept():
    packet = XMP.replace(b'rdf:about=""', b'rdf:about="uuid:7"')
    assert annotated(packet, NOTE).count(b'rdf:about="uuid:7"') == 2


def test_wide_characters_are_understood():
    packet = annotated(XMP.decode().encode("utf-16"), NOTE)
    assert b'dc:format="image/x"' in packet


def test_entities_are_not_expanded():
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]>' + XMP.replace(b"image/x", b"&b;")
    new = annotated(bomb, NOTE)
    assert b"DOCTYPE" not in new
    assert values(new, IPTC_NAMESPACE, "DigitalSourceType") == [SOURCE_TYPE]
