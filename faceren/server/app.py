"""The page and what it asks for, as a web application for one person at this computer.

Everything lies below ``/TOKEN/``, a secret of this run that no other page knows. The ``Host`` must
be ours, so that no name of somebody else's can point here; what changes anything must come from our
own page (``Origin``). Files are named by photos of the record, never by paths, and are sent only if
they have the bytes that were recorded.
"""

import hmac
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from faceren.arrays import Rgb8
from faceren.errors import ConfigError, FacerenError, ImageError
from faceren.files import sha256_of
from faceren.images import DEFAULT_MAX_PIXELS, read_photo, shown
from faceren.pages.comparison import overview
from faceren.pages.entries import SEEN_BY_BROWSERS
from faceren.pages.page import jpeg
from faceren.pages.pictures import NAME, Cell, contact_sheet
from faceren.pages.review import acting_page, review_context
from faceren.runs.folder import PICTURES_DIR, inside, own_place
from faceren.runs.manifest import MANIFEST_NAME, Line, Manifest, output_of, read_run, source_of
from faceren.server.desk import Desk

SIDE = 1600
"""Longest side in pixels of each of the two."""
QUALITY = 92


def pair_of(line: Line, output: Path, max_pixels: int) -> bytes:
    """Return a JPEG of a photo before and after, side by side.

    Args:
        line: Of the record.
        output: The folder that was restored into.
        max_pixels: Refuse larger photos.

    Raises:
        ImageError: If a file is gone, has changed, or cannot be read.
    """
    before = _shown(source_of(line, output), str(line.get("input_sha256")), max_pixels)
    after = _shown(output_of(line, output), str(line.get("output_sha256")), max_pixels)
    side = max(before.shape[:2])
    sheet = contact_sheet([[Cell(before, "before"), Cell(after, "after")]], side=side)
    return jpeg(np.ascontiguousarray(sheet), QUALITY)


def _shown(path: Path | None, digest: str, max_pixels: int) -> Rgb8:
    if path is None or not path.is_file() or sha256_of(path) != digest:
        name = "a file" if path is None else shown(path)
        raise ImageError(f"{name} is gone, or has changed since it was restored")
    return overview(read_photo(path, max_pixels=max_pixels), SIDE)


LARGEST_DROP = 2**29
"""Bytes of a photo that is dropped onto the page; larger ones are restored by their path."""
LARGEST_ASKED = 2**16
"""Bytes of what the page asks for."""
DROPPED_DIR = ".originals"
"""Where dropped photos are kept, in the output folder."""
KINDS = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".jpe": "image/jpeg", ".jfif": "image/jpeg",
    ".png": "image/png", ".webp": "image/webp", ".bmp": "image/bmp", ".gif": "image/gif",
    ".avif": "image/avif",
}  # fmt: skip
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""Policy of all but the page."""

Answer = Callable[[Request], Awaitable[Response]]


class Guard:
    """Let nothing through but what comes from our own page, at our own address.

    Args:
        app: What answers.
        port: Where it is served.
        token: The secret part of every address.
        touched: Called for each request that is let through.
    """

    def __init__(self, app: ASGIApp, *, port: int, token: str, touched: Callable[[], None]) -> None:
        self.app = app
        self.token = token
        self.touched = touched
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        problem, status = self._problem(Request(scope))
        if problem:
            await PlainTextResponse(
                problem, status, {**HEADERS, "Content-Security-Policy": NOTHING}
            )(scope, receive, send)
            return
        self.touched()
        await self.app(scope, receive, send)

    def _problem(self, request: Request) -> tuple[str, int]:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host not in self.hosts:
            return "this address is none of faceren's", 421
        given = request.url.path.lstrip("/").partition("/")[0]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return "the address lacks the secret that faceren printed", 403
        changes = request.method not in ("GET", "HEAD")
        if (origin is not None or changes) and origin != f"http://{host}":
            return "this was asked for by another page", 403
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "this was asked for by another page", 403
        return "", 200


class Site:
    """The answers.

    Args:
        desk: Does what is asked for.
        max_pixels: Show and take no larger photos.
    """

    def __init__(self, desk: Desk, max_pixels: int | None = None) -> None:
        self.desk = desk
        self.output = desk.output
        self.max_pixels = max_pixels or DEFAULT_MAX_PIXELS

    def app(self, token: str) -> Starlette:
        """Return the application, without its guard."""
        routes: list[tuple[str, Answer, str]] = [
            ("", self.page, "GET"),
            ("photos", self.photos, "GET"),
            ("state", self.state, "GET"),
            (f"{PICTURES_DIR}/{{name}}", self.picture, "GET"),
            ("original/{key:path}", partial(self.file, original=True), "GET"),
            ("result/{key:path}", partial(self.file, original=False), "GET"),
            ("pair/{key:path}", self.pair, "GET"),
            ("act", self.act, "POST"),
            ("undo", self.undo, "POST"),
            ("drop", self.drop, "POST"),
            ("folder", self.folder, "POST"),
        ]
        return Starlette(
            routes=[
                Route(f"/{token}/{path}", answering(answer), methods=[method])
                for path, answer, method in routes
            ]
        )

    def _manifest(self) -> Manifest:
        """Return the record; of a folder that nothing was restored into, an empty one."""
        if self.output.is_dir() and not (self.output / MANIFEST_NAME).exists():
            return Manifest()
        return read_run(self.output, "restore")

    def _line(self, request: Request) -> Line:
        """Return the record of the photo that a request names."""
        key = request.path_params["key"]
        line = self._manifest().items.get(key)
        if line is None:
            raise ConfigError(f"{key!r:.120} is none of the photos of this folder")
        return line

    def _context(self) -> dict[str, Any]:
        context = review_context(
            self.output, self._manifest(), check="there", max_pixels=self.max_pixels, threads=2
        )
        for photo in context["photos"]:
            for kind in ("original", "result"):
                if photo[kind] is not None:
                    photo[kind] = f"./{kind}/{quote(photo['key'], errors='surrogateescape')}"
        return context

    async def page(self, _: Request) -> Response:
        """Return the page."""
        text, policy = acting_page(await run_in_threadpool(self._context))
        policy += "; frame-ancestors 'none'"
        data = text.encode("utf-8", "replace")  # a file's name may be no text
        kind = "text/html; charset=utf-8"
        return Response(data, media_type=kind, headers={"Content-Security-Policy": policy})

    async def photos(self, _: Request) -> Response:
        """Return what the page shows, without the page."""
        context = await run_in_threadpool(self._context)
        told = ("photos", "notes", "totals", "strength")
        return JSONResponse({name: context[name] for name in told})

    async def state(self, _: Request) -> Response:
        """Return how the work stands."""
        return JSONResponse(self.desk.state.to_json())

    async def picture(self, request: Request) -> Response:
        """Return a small picture of the page."""
        name = request.path_params["name"]
        path = own_place(self.output, PICTURES_DIR) / name
        if not NAME.fullmatch(name) or not path.is_file() or path.is_symlink():
            return missing("this picture is not there")
        return FileResponse(path, media_type="image/jpeg")

    async def file(self, request: Request, *, original: bool) -> Response:
        """Return a photo's original, or its output, if it has the bytes that were recorded."""
        line = self._line(request)
        path = source_of(line, self.output) if original else output_of(line, self.output)
        digest = line.get("input_sha256" if original else "output_sha256")
        if path is None or path.suffix.lower() not in SEEN_BY_BROWSERS or not path.is_file():
            return missing("this file is not there, or no browser shows it")
        if await run_in_threadpool(sha256_of, path) != digest:
            return missing("this file has changed since it was restored")
        return FileResponse(path, media_type=KINDS[path.suffix.lower()])

    async def pair(self, request: Request) -> Response:
        """Return a photo before and after as one picture, to be kept."""
        line = self._line(request)
        data = await run_in_threadpool(pair_of, line, self.output, self.max_pixels)
        name = quote(f"{Path(request.path_params['key']).stem}-before-after.jpg", errors="replace")
        said = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}"}
        return Response(data, media_type="image/jpeg", headers=said)

    async def act(self, request: Request) -> Response:
        """Ask for an act on a photo."""
        asked = await asked_for(request)
        act, key, index = (asked.get(name) for name in ("act", "key", "face"))
        if not isinstance(act, str) or not isinstance(key, str):
            raise ConfigError("expected an act and a photo")
        if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
            raise ConfigError(f"expected the number of a face, got {index!r:.40}")
        self.desk.act(act, key, index)
        return JSONResponse(self.desk.state.to_json(), 202)

    async def undo(self, _: Request) -> Response:
        """Ask for the last act to be undone."""
        self.desk.undo()
        return JSONResponse(self.desk.state.to_json(), 202)

    async def folder(self, request: Request) -> Response:
        """Ask for photos to be restored that lie on this computer."""
        text = (await asked_for(request)).get("path")
        if not isinstance(text, str) or not text.strip() or "\0" in text:
            raise ConfigError("expected the path of a photo or a folder")
        path = Path(text.strip()).expanduser()
        if not path.exists():
            raise ConfigError(f"{path}: no such file or folder")
        self.desk.add([path], path.name)
        return JSONResponse(self.desk.state.to_json(), 202)

    async def drop(self, request: Request) -> Response:
        """Take a photo that was dropped onto the page, and ask for it to be restored."""
        name = Path(request.query_params.get("name", "").replace("\\", "/")).name
        if not name or name.startswith(".") or not name.isprintable():
            raise ConfigError(f"expected the name of a photo, got {name!r:.60}")
        if int(request.headers.get("content-length") or 0) > LARGEST_DROP:
            return too_large(name)
        place = free_place(self.output, name)
        try:
            if not await received(request, place):
                return too_large(name)
            await run_in_threadpool(read_photo, place, max_pixels=self.max_pixels)
        except (FacerenError, OSError, ClientDisconnect) as error:
            with suppress(OSError):
                place.unlink(missing_ok=True)
            if isinstance(error, ImageError):  # of a file that is no more
                raise ImageError(str(error).replace(shown(place), shown(name))) from error
            raise
        self.desk.add([place], name)
        return JSONResponse(self.desk.state.to_json(), 202)


def answering(answer: Answer) -> Answer:
    """Return an answer that has our headers, and says in one line what cannot be done."""

    async def answered(request: Request) -> Response:
        try:
            response = await answer(request)
        except (FacerenError, OSError) as error:
            response = JSONResponse({"error": shown(str(error))}, 422)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", NOTHING)
        return response

    return answered


async def asked_for(request: Request) -> dict[str, Any]:
    """Return the JSON object that a page sent.

    Raises:
        ConfigError: If it is none, or too large.
    """
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > LARGEST_ASKED:
            raise ConfigError(f"expected at most {LARGEST_ASKED:,} bytes")
    try:
        asked = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"expected JSON, {error}") from error
    if not isinstance(asked, dict):
        raise ConfigError("expected a JSON object")
    return asked


async def received(request: Request, place: Path) -> bool:
    """Write the body of a request to a new file; return False, and no file, if it is too large."""
    place.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with place.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > LARGEST_DROP:
                break
            await run_in_threadpool(file.write, chunk)
    if size > LARGEST_DROP:
        place.unlink()
    return size <= LARGEST_DROP


def free_place(output: Path, name: str) -> Path:
    """Return where a dropped photo is kept: by its name, with a number if there is one already."""
    folder = own_place(output, DROPPED_DIR)
    stem, suffix = Path(name).stem, Path(name).suffix
    number = 1
    while True:
        called = name if number == 1 else f"{stem} ({number}){suffix}"
        place, made = folder / called, inside(output, called)
        if not any(path.exists() or path.is_symlink() for path in (place, made)):
            return place
        number += 1


def missing(said: str) -> Response:
    """Return the answer to a request for what is not there."""
    return PlainTextResponse(said, 404)


def too_large(name: str) -> Response:
    """Return the answer to a photo that is too large to be sent."""
    limit = f"{LARGEST_DROP / 2**20:.0f} MiB"
    said = f"{name} is larger than {limit}: give its path below, it is read from the disk then"
    return JSONResponse({"error": shown(said)}, 413)
