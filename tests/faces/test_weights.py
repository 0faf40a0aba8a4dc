import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from faceren.errors import MachineError
from faceren.faces.weights import Weights, available, default_folder, fetched

CONTENT = b"numbers" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            self.send_error(404)
            return
        cut_short = self.path == "/short"
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) + (100 if cut_short else 0)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_weights_are_fetched_once_and_verified(server, tmp_path):
    weights = Weights("w.pth", f"{server}/w.pth", DIGEST)
    assert not available(weights, tmp_path / "new")
    path = fetched(weights, tmp_path / "new")
    assert path.read_bytes() == CONTENT
    gone = Weights("w.pth", "http://127.0.0.1:1/w.pth", DIGEST)
    assert fetched(gone, tmp_path / "new", offline=True) == path


def test_offline_never_asks(server, tmp_path):
    weights = Weights("w.pth", f"{server}/w.pth", DIGEST)
    with pytest.raises(MachineError, match="--offline forbids to fetch it; put the file of http"):
        fetched(weights, tmp_path, offline=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "digest", "said"),
    [
        ("/w.pth", "0" * 64, "expected 0000000000000000…; it is not kept"),
        ("/short", DIGEST, "is not kept|cannot be fetched"),
        ("/missing", DIGEST, "cannot be fetched .*404"),
    ],
)
def test_what_is_not_the_file_is_not_kept(server, tmp_path, path, digest, said):
    url = f"{server}{path}"
    if path == "/short":
        digest = "1" * 64
    with pytest.raises(MachineError, match=said):
        fetched(Weights("w.pth", url, digest), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_not_there_says_where_to_put_the_file(tmp_path):
    weights = Weights("w.pth", "http://127.0.0.1:1/w.pth", DIGEST)
    with pytest.raises(MachineError, match=f"cannot be fetched .* into {tmp_path}"):
        fetched(weights, tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"other")
    with pytest.raises(MachineError, match=r"w.pth has SHA-256 \w+…, expected"):
        fetched(Weights("w.pth", "http://127.0.0.1:1/w.pth", DIGEST), tmp_path)


def test_the_default_folder_is_in_the_user_s_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "faceren"
