import dataclasses
import hashlib
import importlib.util
import threading
import types
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch

from faceren.errors import MachineError
from faceren.faces import facexlib_networks, tiny, tools
from faceren.faces.tools import (
    Weights,
    available,
    default_folder,
    fetched,
    load_tools,
    resolve_mask,
)

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


needs_facexlib = pytest.mark.skipif(
    importlib.util.find_spec("facexlib") is None, reason="facexlib is not installed"
)
CPU = torch.device("cpu")


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Put weights that are drawn, not trained, where the published ones are looked for."""

    def put(name, network):
        which = getattr(tools, name)
        path = tmp_path / which.name
        state = {f"module.{key}": value for key, value in network.state_dict().items()}
        torch.save(state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(tools, name, dataclasses.replace(which, sha256=digest))
        return tmp_path

    return put


def test_the_shipped_detector_needs_no_folder(tmp_path):
    found = load_tools("tiny", "ellipse", tmp_path, offline=True, device=CPU)
    assert found.search is tiny.search
    assert found.parse is None


def test_auto_parses_only_where_weights_are(tmp_path):
    assert resolve_mask("auto", tmp_path) == "ellipse"
    assert resolve_mask("parsing", tmp_path) == "parsing"
    (tmp_path / tools.PARSENET.name).touch()
    known = importlib.util.find_spec("facexlib") is not None
    assert resolve_mask("auto", tmp_path) == ("parsing" if known else "ellipse")


def test_without_facexlib_nothing_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="pip install 'faceren\\[facexlib\\]'"):
        load_tools("retinaface_resnet50", "ellipse", tmp_path, offline=False, device=CPU)


def test_offline_without_weights_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(tools, "_need_facexlib", lambda: None)
    for detector, mask in (("retinaface_resnet50", "ellipse"), ("tiny", "parsing")):
        with pytest.raises(MachineError, match="--offline forbids"):
            load_tools(detector, mask, tmp_path, offline=True, device=CPU)


@pytest.mark.slow
@needs_facexlib
def test_a_facexlib_detector_finds_what_its_weights_say(stand_in):
    """Drawn weights see faces everywhere or nowhere; what they return must have the right form."""
    from facexlib.detection.retinaface import RetinaFace

    torch.manual_seed(0)
    folder = stand_in("MOBILENET", RetinaFace(network_name="mobile0.25", device="cpu"))
    found = load_tools("retinaface_mobile0.25", "ellipse", folder, offline=True, device=CPU)
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    faces = found.search(image, 0.01)
    assert faces
    assert all(face.landmarks.shape == (5, 2) and 0.01 < face.score <= 1 for face in faces)
    assert found.search(image, 0.9999) == []


class ThinRetinaFace(torch.nn.Module):
    """The interface of facexlib's RetinaFace; sees one face wherever the image is red."""

    def __init__(self, network_name, device):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(1))

    def detect_faces(self, image, conf_threshold):
        assert image.dtype == np.uint8
        y, x = np.nonzero(image[..., 2] > 128)  # facexlib counts blue, green, red
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1, float(self.scale[0])]
        points = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
        return np.array([box + points] if self.scale[0] > conf_threshold else []).reshape(-1, 15)


def test_a_facexlib_detector_s_rows_are_faces(monkeypatch, stand_in):
    fake = types.SimpleNamespace(RetinaFace=ThinRetinaFace)
    monkeypatch.setattr(facexlib_networks, "_facexlib", lambda module: fake)
    monkeypatch.setattr(tools, "_need_facexlib", lambda: None)
    trained = ThinRetinaFace("resnet50", "cpu")
    trained.scale.data[0] = 0.75
    folder = stand_in("RESNET50", trained)
    found = load_tools("retinaface_resnet50", "ellipse", folder, offline=True, device=CPU)
    image = np.zeros((96, 128, 3), np.uint8)
    image[20:50, 10:40, 0] = 255
    (face,) = found.search(image, 0.5)
    assert face.box == (10, 20, 40, 50)
    assert face.score == 0.75
    np.testing.assert_array_equal(face.landmarks, np.arange(1, 11).reshape(5, 2) - 0.5)
    assert found.search(image, 0.8) == []


class ThinParseNet(torch.nn.Module):
    """The interface of ParseNet; sees hair where it is bright and clothes where it is dark."""

    def __init__(self, in_size, out_size, parsing_ch):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, parsing_ch, 1)
        torch.nn.init.zeros_(self.conv.weight)
        torch.nn.init.constant_(self.conv.bias, -9)
        self.conv.bias.data[[13, 18]] = 0
        self.conv.weight.data[13], self.conv.weight.data[18] = 1, -1

    def forward(self, x):
        assert x.shape == (1, 3, 512, 512)
        return self.conv(x), x


def test_an_outline_is_the_head_s_classes(monkeypatch, stand_in):
    fake = types.SimpleNamespace(ParseNet=ThinParseNet)
    monkeypatch.setattr(facexlib_networks, "_facexlib", lambda module: fake)
    monkeypatch.setattr(tools, "_need_facexlib", lambda: None)
    folder = stand_in("PARSENET", ThinParseNet(512, 512, 19))
    parse = load_tools("tiny", "parsing", folder, offline=True, device=CPU).parse
    crop = np.zeros((256, 256, 3), np.float32)
    crop[:, 128:] = 1
    outline = parse(crop)
    assert outline.shape == (256, 256)
    np.testing.assert_array_equal(outline[:, :126], 0)
    np.testing.assert_array_equal(outline[:, 130:], 1)


@pytest.mark.slow
@needs_facexlib
def test_weights_of_another_network_are_refused(stand_in):
    folder = stand_in("MOBILENET", torch.nn.Linear(2, 2))
    with pytest.raises(MachineError, match="does not fit facexlib's network"):
        load_tools("retinaface_mobile0.25", "ellipse", folder, offline=True, device=CPU)


def test_on_cuda_the_shipped_detector_asks_for_the_gpu(astronaut):
    """Without a GPU, or ONNX Runtime's build for one, it finds the same on the CPU."""
    here, there = (
        load_tools("tiny", "ellipse", None, offline=True, device=torch.device(name)).search
        for name in ("cpu", "cuda")
    )
    assert here is tiny.search
    assert there.keywords == {"gpu": True}
    ours, theirs = (search(astronaut, 0.8) for search in (here, there))
    assert len(ours) == len(theirs) == 1
    assert theirs[0].box == pytest.approx(ours[0].box, abs=0.5)
