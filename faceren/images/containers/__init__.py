"""Take JPEG, PNG, WebP, AVIF and HEIC files apart and put them together again.

A restored photo is written by encoding its pixels and moving every other part of the original
file over byte by byte: whatever EXIF, IPTC or profile it holds stays equal, even where no library
could parse it. Only the XMP, which names the restoration, is replaced.
"""

Part = tuple[bytes, bytes]
"""Name and content of a chunk or segment."""
