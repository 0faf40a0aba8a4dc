import io
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.calls import restored


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    path = tmp_path_factory.mktemp("portrait") / "a b.jpg"
    Image.fromarray(data.astronaut()).save(path, quality=90)
    return path


@pytest.fixture
def piped(run, monkeypatch):
    """Run the command line with stdin and stdout as byte streams; return stdout's bytes too."""

    def run_piped(given, *arguments, terminal=False):
        out = io.BytesIO()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given)))
        stdout = SimpleNamespace(
            buffer=out, isatty=lambda: terminal, write=None, flush=lambda: None
        )
        monkeypatch.setattr(sys, "stdout", stdout)
        status, _, stderr = run("restore", *arguments)
        return status, out.getvalue(), stderr

    return run_piped


def test_a_pipe_gets_the_bytes_that_a_folder_gets(portrait, tmp_path, piped):
    (result,) = restored([portrait], tmp_path / "out")
    status, piped_bytes, stderr = piped(portrait.read_bytes(), "-", "-o", "-")
    assert status == 0
    assert piped_bytes == result.output.read_bytes()
    assert stderr == "restored: 1 face\n"


def test_a_file_can_go_to_stdout(portrait, piped):
    status, out, _ = piped(b"", portrait, "-o", "-", "--format", "png", "--quiet")
    assert status == 0
    with Image.open(io.BytesIO(out)) as image:
        assert image.format == "PNG"


def test_a_photo_without_a_face_passes_as_it_is(piped):
    stream = io.BytesIO()
    Image.fromarray(np.full((60, 80), 99, np.uint8)).save(stream, "PNG")
    status, out, stderr = piped(stream.getvalue(), "-", "-o", "-")
    assert (status, out) == (0, stream.getvalue())
    assert stderr == "no face: 0 faces\n"


@pytest.mark.parametrize(("given", "reason"), [(b"", "empty"), (b"no photo at all", "content")])
def test_what_is_no_photo_gives_no_byte_and_one_line(given, reason, piped):
    status, out, stderr = piped(given, "-", "-o", "-")
    assert (status, out) == (1, b"")
    assert stderr.startswith("error: stdin: ")
    assert reason in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-o", "{tmp}"], "needs -o -"),
        (["-", "{photo}", "-o", "-"], "got 2 inputs"),
        (["{tmp}", "-o", "-"], "is a folder"),
        (["-"], "needs -o -, got no -o"),
        (["-o", "-"], "got 0 inputs"),
        (["-", "-o", "-", "--json", "--only", "{photo}"], "--only, --json need an output folder"),
    ],
)
def test_what_makes_no_sense_with_a_pipe_is_refused(arguments, message, portrait, tmp_path, piped):
    given = [a.format(tmp=tmp_path, photo=portrait) for a in arguments]
    status, out, stderr = piped(b"", *given)
    assert (status, out) == (2, b"")
    assert message in stderr


@pytest.mark.parametrize(
    "option",
    [
        *("--json", "--save-faces", "--dry-run", "--overwrite", "--retry-failed", "--report"),
        *("--report-only={tmp}", "--revert={photo}", "--only={photo}", "--boxes={photo}"),
        "--exclude=*.tif",
    ],
)
def test_what_needs_a_folder_is_refused(option, portrait, tmp_path, piped):
    given = option.format(tmp=tmp_path, photo=portrait)
    status, out, stderr = piped(b"", "-", "-o", "-", given)
    assert (status, out) == (2, b"")
    name = option.partition("=")[0]
    assert stderr == f"error: {name} needs an output folder, got -o -\n"


def test_a_variable_is_refused_like_its_option(piped, monkeypatch):
    monkeypatch.setenv("FACEREN_OVERWRITE", "1")
    status, _, stderr = piped(b"", "-", "-o", "-")
    assert (status, stderr) == (2, "error: --overwrite needs an output folder, got -o -\n")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--max-memory=lots", "expected a size"),
        ("--batch-size=x", "--batch-size: expected 'auto' or int"),
    ],
)
def test_what_bounds_the_work_is_checked(option, message, piped):
    status, out, stderr = piped(b"", "-", "-o", "-", option)
    assert (status, out) == (2, b"")
    assert message in stderr


def test_what_bounds_the_work_reaches_the_pipeline_and_changes_no_byte(
    portrait, piped, monkeypatch
):
    from faceren.restoration import pipeline

    made = []

    class Recorded(pipeline.Pipeline):
        def run(self, jobs):
            made.append((self.workers, self.max_memory, self.restorer.batch_size))
            return super().run(jobs)

    _, expected, _ = piped(portrait.read_bytes(), "-", "-o", "-")
    monkeypatch.setattr(pipeline, "Pipeline", Recorded)
    bounds = ("--workers=3", "--max-memory=1M", "--batch-size=5", "--no-report")
    status, out, _ = piped(portrait.read_bytes(), "-", "-o", "-", *bounds)
    assert (status, made) == (0, [(3, 2**20, 5)])
    assert out == expected


def test_no_photo_is_written_to_a_terminal(piped):
    status, out, stderr = piped(b"", "-", "-o", "-", terminal=True)
    assert (status, out) == (2, b"")
    assert "add > FILE" in stderr


def test_a_reader_that_goes_away_is_said_in_one_line(portrait):
    code = "from faceren.cli import main; main()"
    command = [sys.executable, "-c", code, "restore", str(portrait), "-o", "-", "-q"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 4
    assert "stdout was closed" in said
    assert "Traceback" not in said
