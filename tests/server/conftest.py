import http.client
import json
import threading
import time

import pytest

from faceren.commands.options import RunOptions
from faceren.restoration.options import RestoreOptions
from faceren.server.app import Guard, Site
from faceren.server.desk import Desk
from faceren.server.serve import HOST, listening, server_of

TOKEN = "00ff" * 8


class Served:
    """A page that is served to the test, and what a browser would send to it."""

    def __init__(self, output):
        self.desk = Desk(output, RestoreOptions(), RunOptions(device="cpu", model="compact"))
        self.listener = listening(0)
        self.port = self.listener.getsockname()[1]
        self.origin = f"http://{HOST}:{self.port}"
        self.address = f"{self.origin}/{TOKEN}/"
        app = Site(self.desk).app(TOKEN)
        guard = Guard(app, port=self.port, token=TOKEN, touched=lambda: None)
        self.server = server_of(guard)
        self.thread = threading.Thread(target=self.server.run, args=([self.listener],))
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def end(self):
        self.server.should_exit = True
        self.thread.join()
        self.desk.end()
        self.listener.close()

    def ask(self, method, path, body=None, *, token=TOKEN, **headers):
        """Return status, headers and body of an answer."""
        known = {"Host": f"{HOST}:{self.port}"}
        known |= {name.replace("_", "-"): text for name, text in headers.items()}
        link = http.client.HTTPConnection(HOST, self.port, timeout=60)
        link.request(method, f"/{token}/{path}", body, known)
        answer = link.getresponse()
        data = answer.read()
        link.close()
        return answer.status, answer.headers, data

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body):
        """Ask as the page asks; return the status and the object that comes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = self.ask("POST", path, data, Origin=self.origin)
        return status, json.loads(answer)

    def done(self):
        """Return the state when nothing is being done any more."""
        while self.desk.state.busy:
            time.sleep(0.01)
        return self.desk.state


@pytest.fixture
def serve():
    """Serve the page of a folder until the test ends."""
    pages = []

    def begin(output):
        pages.append(Served(output))
        return pages[-1]

    yield begin
    for page in pages:
        page.end()
