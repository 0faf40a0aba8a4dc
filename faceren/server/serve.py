"""Serve the page on this computer until somebody ends it, or nobody looks any more."""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn
from filelock import FileLock, Timeout

from faceren.commands.options import RunOptions
from faceren.errors import ConfigError, MachineError
from faceren.restoration.options import RestoreOptions
from faceren.runs.folder import check_page, check_places, own_place
from faceren.runs.manifest import MANIFEST_NAME
from faceren.runs.resume import earlier_run
from faceren.server.app import Guard, Site
from faceren.server.desk import Desk

HOST = "127.0.0.1"
OPEN_NAME = ".faceren-open"
"""Locked while a page is open on a folder."""
LOOK = 0.5
"""Seconds between two looks at the clock."""


def serve(
    output: Path,
    options: RestoreOptions,
    how: RunOptions,
    *,
    port: int,
    idle_minutes: float,
    on_open: Callable[[str], None],
) -> str:
    """Serve the page of a folder; return why that ended: ``interrupted`` or ``idle``.

    Args:
        output: The folder that ``restore`` wrote, or an empty one.
        options: How photos are restored that the folder does not know yet.
        how: With what.
        port: Where; 0 takes a free one.
        idle_minutes: Ends after so long without a request and without work; 0 never does.
        on_open: Called with the page's address when it can be opened.

    Raises:
        ConfigError: If the folder holds something else, or there is none.
        MachineError: If the port is in use, the folder cannot be written, or it is open already.
    """
    check_folder(output)
    lock = FileLock(own_place(output, OPEN_NAME), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise MachineError(
            f"{output} is open already; go to that page, or end it with Ctrl-C where it was opened"
        ) from error
    except OSError as error:
        raise MachineError(f"{output} cannot be written ({error.strerror})") from error
    listener = listening(port)
    desk = Desk(output, options, how)
    try:
        return _served(Site(desk, how.max_pixels), desk, listener, idle_minutes, on_open)
    finally:
        desk.end()
        listener.close()
        lock.release()


def check_folder(output: Path) -> None:
    """Make a folder if it is not there; refuse one that holds something else.

    Raises:
        ConfigError: If it was not written by ``restore`` and is not empty.
        MachineError: If it cannot be made.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: expected a folder, this is a file")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"{output} cannot be made ({error.strerror})") from error
    earlier_run(output, "restore")
    if not (output / MANIFEST_NAME).exists() and any(
        not path.name.startswith(".") for path in output.iterdir()
    ):
        raise ConfigError(
            f"{output}: expected a folder that restore wrote, or an empty one; this one holds "
            f"other files"
        )
    check_places(output)
    check_page(output)  # it is written anew at the end


def listening(port: int) -> socket.socket:
    """Return a socket that listens on this computer alone.

    Raises:
        MachineError: If the port is in use or not allowed.
    """
    listener = socket.socket()
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise MachineError(
            f"--port {port}: {error.strerror}; choose another one, or leave it out"
        ) from error
    return listener


def server_of(app: Guard) -> uvicorn.Server:
    """Return the server: HTTP/1.1 and nothing else, which says nothing of itself."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            http="h11",
            timeout_graceful_shutdown=3,
        )
    )


def _served(
    site: Site,
    desk: Desk,
    listener: socket.socket,
    idle_minutes: float,
    on_open: Callable[[str], None],
) -> str:
    token, port = secrets.token_hex(16), listener.getsockname()[1]
    last = time.monotonic()

    def touched() -> None:
        nonlocal last
        last = time.monotonic()

    guard = Guard(site.app(token), port=port, token=token, touched=touched)
    server = server_of(guard)

    async def watched() -> str:
        ended = "interrupted"
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            on_open(f"http://{HOST}:{port}/{token}/")
        while not serving.done():
            await asyncio.sleep(LOOK)
            if desk.state.busy:
                touched()
            elif idle_minutes and time.monotonic() - last > 60 * idle_minutes:
                ended, server.should_exit = "idle", True
        await serving
        return ended

    try:
        return asyncio.run(watched())
    except KeyboardInterrupt:
        return "interrupted"
