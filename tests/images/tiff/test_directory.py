import struct
from io import BytesIO

import pytest

from faceren.errors import ImageError
from faceren.images.tiff.directory import (
    Entry,
    Layout,
    block_of,
    directories,
    directory_at,
    layout_of,
    numbers_of,
    set_bytes,
    set_numbers,
    value_of,
    write_directory,
)


def tiff(entries, *, big=False, order="<", following=0):
    """A file of one directory; entries of (tag, type, count, value)."""
    layout = Layout(order, big)
    head = {"<": b"II", ">": b"MM"}[order] + layout.pack("H", 43 if big else 42)
    head += layout.pack("HHQ", 8, 0, 16) if big else layout.pack("I", 8)
    body = layout.pack("Q" if big else "H", len(entries))
    for tag, kind, count, value in entries:
        body += layout.pack("HH" + layout.offset, tag, kind, count)
        body += value.ljust(8 if big else 4, b"\0")
    return BytesIO(head + body + layout.pack(layout.offset, following)), layout


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_what_is_set_is_read_again(big, order):
    file, layout = tiff([(256, 3, 1, struct.pack(order + "H", 77))], big=big, order=order)
    assert layout_of(file) == layout
    (directory,) = directories(file, layout)
    set_numbers(file, layout, directory, 258, [8, 8, 8])
    set_bytes(file, layout, directory, 700, b"a packet of some length")
    write_directory(file, layout, directory)
    (again,) = directories(file, layout)
    assert [entry.tag for entry in again.entries] == [256, 258, 700]
    assert numbers_of(file, layout, again.get(256)) == [77]
    assert numbers_of(file, layout, again.get(258)) == [8, 8, 8]
    assert block_of(file, layout, again, 700, "XMP") == b"a packet of some length"
    assert numbers_of(file, layout, again.get(999)) == []


@pytest.mark.parametrize(("values", "kind"), [([65535], 3), ([65536], 4), ([2**32], 16)])
def test_numbers_get_the_smallest_type(values, kind):
    file, layout = tiff([], big=True)
    (directory,) = directories(file, layout)
    set_numbers(file, layout, directory, 256, values)
    assert directory.get(256).kind == kind


def test_places_of_strips_are_never_short():
    file, layout = tiff([])
    (directory,) = directories(file, layout)
    set_numbers(file, layout, directory, 273, [8])
    assert directory.get(273).kind == 4


def test_a_tag_may_stand_twice():
    entries = [(270, 2, 2, b"a\0"), (270, 2, 2, b"b\0"), (305, 2, 2, b"c\0")]
    file, layout = tiff(entries)
    (directory,) = directories(file, layout)
    directory.drop(305)
    write_directory(file, layout, directory)
    (again,) = directories(file, layout)
    assert [value_of(file, layout, entry) for entry in again.entries] == [b"a\0", b"b\0"]
    again.put(Entry(270, 2, 2, b"d\0\0\0"))
    assert [entry.field[:1] for entry in again.entries] == [b"d", b"b"]


@pytest.mark.parametrize("offset", [1 << 20, (1 << 32) - 1])
def test_a_page_beyond_the_end_is_refused(offset):
    file, layout = tiff([], following=offset)
    with pytest.raises(ImageError, match=r"a page of a TIFF lies beyond its end"):
        directories(file, layout)


def test_a_loop_is_refused():
    file, layout = tiff([], following=8)
    with pytest.raises(ImageError, match="chained in a loop"):
        directories(file, layout)


def test_a_directory_of_too_many_entries_is_refused():
    file = BytesIO(b"II*\0\x08\0\0\0\xff\xff" + bytes(99))
    with pytest.raises(ImageError, match="a directory of 65,535 entries"):
        directory_at(file, Layout("<", big=False), 8)


def test_a_value_beyond_the_end_is_refused():
    file, layout = tiff([(700, 1, 500, struct.pack("<I", 8))])
    (directory,) = directories(file, layout)
    with pytest.raises(ImageError, match="lies beyond its end"):
        block_of(file, layout, directory, 700, "XMP")


def test_a_block_of_numbers_is_refused():
    file, layout = tiff([(700, 4, 1, struct.pack("<I", 2 * 10**9))])
    (directory,) = directories(file, layout)
    with pytest.raises(ImageError, match=r"XMP \(tag 700\) is stored as type 4, expected bytes"):
        block_of(file, layout, directory, 700, "XMP")
