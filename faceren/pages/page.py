"""HTML pages that keep: one look, no server, no network, nothing runs but our own script.

How another page is made (``benchmark`` and ``evaluate`` do it so):

1. Write ``templates/NAME.html.j2`` that starts with ``{% extends "base.html.j2" %}`` and
   ``{% import "macros.html.j2" as ui with context %}`` and fills the block ``content`` (optional
   blocks: ``lead`` below the title, ``footer``). The macros: ``ui.facts(pairs)`` (settings),
   ``ui.table(headers, rows, caption=, figures=True)`` (all columns but the first right-aligned),
   ``ui.figure(source, alt, caption=, width=, height=)``, ``ui.gallery(figures)`` (dicts with those
   names), ``ui.notice(title, lines, tone=)`` and ``ui.badge(text, tone=)``; a tone is ``plain``,
   ``good``, ``watch`` or ``bad``.
2. Call ``write_page(path, "NAME.html.j2", {"title": ..., "subtitle": ..., ...})``.
3. Pictures are files beside the page (``relative_url``) or part of it
   (``embedded(jpeg(rgb), "jpeg")``, ``embedded(png_bytes, "png")``).

Everything in the context is escaped, a missing name is an error. Styles and scripts are files of
``static/``, put into the page whole and named by their hashes in its Content-Security-Policy, so
that no ``style=`` or ``on...=`` attribute and no other script works, wherever it comes from. An SVG
cannot be embedded (it would carry the address of its namespace); save plots as PNG.
"""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Literal
from urllib.parse import quote

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import faceren
from faceren.arrays import Rgb8
from faceren.files import atomic_write

HERE = Path(__file__).parent
STYLE = "style.css"
QUALITY = 85
"""Of the JPEG pictures that pages show."""


def render(
    template: str,
    context: Mapping[str, object],
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> str:
    """Return a page as HTML.

    Args:
        template: Name of a file in ``templates/``.
        context: What it shows; every string is escaped. ``base.html.j2`` needs ``title`` and
            ``subtitle``.
        styles: Names of files in ``static/`` beyond ``style.css``, which every page has.
        scripts: Names of files in ``static/``, run in this order when the page is there.

    Raises:
        jinja2.UndefinedError: If the template needs a name that the context lacks.
    """
    return rendered(template, context, styles=styles, scripts=scripts)[0]


def rendered(
    template: str,
    context: Mapping[str, object],
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    connects: bool = False,
) -> tuple[str, str]:
    """Return a page and its policy; see ``render``.

    Args:
        template: As of ``render``.
        context: As of ``render``.
        styles: As of ``render``.
        scripts: As of ``render``.
        connects: Whether the scripts may ask the server that the page came from.
    """
    static = HERE / "static"
    style = "".join((static / name).read_text(encoding="utf-8") for name in (STYLE, *styles))
    code = [(static / name).read_text(encoding="utf-8") for name in scripts]
    policy = _policy(style, code, connects=connects)
    text = (
        _environment()
        .get_template(template)
        .render(
            context,
            policy=policy,
            style=Markup(style),  # our own file
            scripts=[Markup(text) for text in code],
            version=faceren.__version__,
        )
    )
    return text, policy


def write_page(
    path: Path,
    template: str,
    context: Mapping[str, object],
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> None:
    """Write a page, whole or not at all; see ``render``. A page that is there already stays.

    Raises:
        MachineError: If it cannot be written.
    """
    text = render(template, context, styles=styles, scripts=scripts)
    data = text.encode("utf-8", "replace")  # a file's name may be no text
    if not path.is_file() or path.read_bytes() != data:
        atomic_write(path, data)


def jpeg(rgb: Rgb8, quality: int = QUALITY) -> bytes:
    """Return an image, (H, W, 3), as the bytes of a JPEG file."""
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])


def embedded(data: bytes, kind: Literal["jpeg", "png"]) -> str:
    """Return the bytes of a picture file as an address that holds them."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def relative_url(path: PurePath | str) -> str:
    """Return the address of a file for a page, given its path relative to the page's folder.

    Whatever the name has in it (``javascript:``, ``#``, quotes, bytes that are no text), the
    address is plain ASCII that names this file and can be nothing but a file.
    """
    name = str(path).replace(os.sep, "/")
    return "./" + quote(os.fsencode(name), safe="/")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def _policy(style: str, scripts: Sequence[str], *, connects: bool = False) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in (style, *scripts))
    look, *code = (f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    allowed = " ".join(code) or "'none'"
    own = "'self' data:; connect-src 'self'" if connects else "'self' file: data:"
    return (
        f"default-src 'none'; img-src {own}; style-src {look}; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )
