"""Runs on a Ray cluster of two nodes, both on this machine, and in a store that moto serves."""

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from faceren.commands import cluster, restore
from faceren.commands.restore import on_files
from faceren.commands.stored import InStore
from faceren.runs.manifest import ManifestWriter, read_manifest
from tests.calls import restored
from tests.training.tiny import losses, write_recipe
from tests.training.tiny import run as train

OPTIONS = {"model": "compact", "ensemble": "off"}
COMMAND = ("restore", "photos", "-o", "out", "--model", "compact", "--ensemble", "off")
COMMAND += ("--cluster", "ray", "--cluster-workers", "2", "--no-report")
CLOCK = re.compile(rb'("ms": |"date": )("[^"]*"|[0-9.]+)')


def test_without_ray_it_says_what_to_install(tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    status, _, said = run("restore", tmp_path, "-o", tmp_path.parent / "out", "--cluster", "ray")
    assert status == 4
    assert said.count("\n") == 2
    assert "--cluster ray: this needs ray, which is not installed; install it: pip install" in said


MISMATCH = "Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n    Python: 3.11.7\n"


def test_a_cluster_of_another_version_is_named(tmp_path, run, monkeypatch):
    def init(**_):
        raise RuntimeError(MISMATCH)

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init, shutdown=lambda: None))
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    status, _, said = run("restore", tmp_path, "-o", tmp_path.parent / "out", "--cluster", "ray")
    assert status == 4
    assert "--cluster ray: the cluster cannot be used: Version mismatch: The cluster was st" in said
    assert "Ray: 2.9.0 Python: 3.11.7" in said
    assert said.count("error: ") == 1


@pytest.fixture(scope="module")
def photos(tmp_path_factory, astronaut):
    """A folder with two faces, thirty photos without one, and one that is damaged."""
    folder = tmp_path_factory.mktemp("cluster") / "photos"
    folder.mkdir()
    for index in range(30):
        plain = np.full((40, 48, 3), 8 * index, np.uint8)
        Image.fromarray(plain).save(folder / f"{index:02}.png")
    for index in (0, 1):
        Image.fromarray(astronaut[20:212, 128 - index : 320]).save(folder / f"{index}0 face.png")
    (folder / "damaged.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def here(photos, tmp_path, monkeypatch):
    """A working folder with the photos, and what one machine makes of them in ``one/out``."""
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "photos").symlink_to(tmp_path / "photos")
    monkeypatch.chdir(tmp_path / "one")
    restored([Path("photos")], Path("out"), **OPTIONS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def port():
    """Where S3 will be served, told to this process and to the nodes that it starts."""
    with socket.socket() as free, pytest.MonkeyPatch.context() as patch:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
        free.close()
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{number}")
        yield number


NODE = {"num_cpus": 1, "node_ip_address": "127.0.0.2"}
"""A loopback address, but not the one for which Ray puts the machine's own in the network."""
HEAD = NODE | {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
"""Without three processes for people who look on."""
PATIENCE = 300
"""Seconds that a node may take to start, or to answer, on a busy machine."""
BUSY = {
    "RAY_gcs_server_port_wait_time_s": PATIENCE,
    "RAY_gcs_server_request_timeout_seconds": PATIENCE,
    "RAY_raylet_start_wait_time_s": PATIENCE,
    "RAY_agent_register_timeout_ms": 1000 * PATIENCE,
    "RAY_worker_register_timeout_seconds": PATIENCE,
    "RAY_health_check_timeout_ms": 1000 * PATIENCE,  # a node that is killed is told otherwise
    "RAY_worker_niceness": 0,  # 15, as Ray has it, gets next to nothing of a busy core
    "RAY_USAGE_STATS_ENABLED": 0,
}
"""Ray's settings for that."""


@pytest.fixture(scope="module")
def nodes(port):
    """A cluster of two nodes with one CPU each."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in BUSY.items():  # some are read when Ray is imported
            patch.setenv(name, str(value))
        # each of ten processes would compile all of Ray for itself
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        utils = pytest.importorskip("ray.cluster_utils", reason="needs ray (faceren[cluster])")
        look = "ray._private.services.get_node"
        patch.setattr(look, partial(waiting, pytest.importorskip("ray")._private.services.get_node))
        started = utils.Cluster(initialize_head=True, head_node_args=HEAD)
        started.add_node(**NODE)
        patch.setenv("RAY_ADDRESS", started.address)
        yield started
        started.shutdown()


def waiting(get_node, address, node):
    """Look for a node that has just been started; Ray itself gives up after 30 seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(RuntimeError):
            return get_node(address, node)
        time.sleep(0.5)
    return get_node(address, node)


def content(folder):
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: CLOCK.sub(rb"\1", path.read_bytes())
        for name, path in found.items()
        if path.is_file() and not path.name.startswith(".")
    }


def dying(mark, deadly, work, pipeline, jobs):
    """Restore photos, but kill the worker in the middle: once, or always at a deadly photo."""
    for job in jobs:
        if job.key == deadly or (len(jobs) > 1 and not Path(mark).exists()):
            list(work(pipeline, jobs[: len(jobs) // 2]))
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return work(pipeline, jobs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_loses_nothing_and_does_nothing_twice(
    here, nodes, run, monkeypatch
):
    killing = partial(dying, here / "mark", "", on_files)
    monkeypatch.setattr(restore, "on_files", killing)
    status, _, said = run(*COMMAND[:-1])  # with the page, whose pictures the workers draw
    assert status == 1
    assert "33 photos: 2 restored, 30 without a face, 1 failed" in said
    assert (here / "mark").exists()
    assert len(list((here / "out" / "report").glob("*.jpg"))) == 30 + 2 * 3
    shutil.rmtree(here / "out" / "report")
    (here / "out" / "report.html").unlink()
    assert content(here / "out") == content(here / "one" / "out")
    assert "nothing has changed since the last run" in run(*COMMAND)[2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_that_dies_loses_nothing(here, nodes, run, monkeypatch):
    appended, lines = ManifestWriter.append, []

    def append(self, line):
        lines.append(line)
        if len(lines) == 4:
            nodes.remove_node(nodes.worker_nodes.copy().pop(), allow_graceful=False)
        appended(self, line)

    monkeypatch.setattr(ManifestWriter, "append", append)
    assert run(*COMMAND)[0] == 1
    nodes.add_node(**NODE)
    assert content(here / "out") == content(here / "one" / "out")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_photo_that_kills_every_worker_is_named_and_what_is_done_stays(
    here, nodes, run, monkeypatch
):
    (here / "mark").touch()
    with monkeypatch.context() as patch:
        patch.setattr(restore, "on_files", partial(dying, here / "mark", "20.png", on_files))
        status, _, said = run(*COMMAND)
    assert status == 4
    assert "photos/20.png: 3 workers died, one after the other" in said
    done = len(read_manifest(here / "out" / "manifest.jsonl").items)
    assert done >= 16
    assert f"{done} unchanged since the last run" in run(*COMMAND)[2]
    assert len(read_manifest(here / "out" / "manifest.jsonl").items) == 33


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_workers_that_cannot_be_or_are_others_are_refused(here, nodes, run, monkeypatch):
    arguments = [item for item in COMMAND if item not in ("--cluster-workers", "2")]
    status, _, said = run(*arguments, "--cluster-gpus", "0.5")
    assert status == 4
    assert "a worker takes 1 CPUs and 0.5 GPUs, the cluster has 2 and 0" in said
    monkeypatch.setattr(cluster, "PATIENCE", 2.0)
    status, _, said = run(*COMMAND, "--cluster-cpus", "8")
    assert status == 4
    assert "no worker has started within 2 seconds; the cluster is too small" in said
    monkeypatch.setattr(cluster, "computes", lambda _: ("9.9", "hash", "torch cuda bf16"))
    monkeypatch.setattr(cluster, "PATIENCE", 600.0)
    status, _, said = run(*COMMAND)
    assert status == 4
    assert "a worker is not as this machine: faceren '9.9' here, '" in said


@pytest.fixture
def bucket(port):
    """An empty bucket that moto serves on this machine; returns its file system."""
    server = pytest.importorskip("moto.server", reason="needs moto[server]")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs (faceren[storage])")
    serving = server.ThreadedMotoServer(port=port, verbose=False)
    serving.start()
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem(skip_instance_cache=True)
    if system.exists("archive"):
        system.rm("archive", recursive=True)
    else:
        system.mkdir("archive")
    yield system
    serving.stop()


def s3_command(*more):
    how = ("--model", "compact", "--ensemble", "off")
    return ("restore", "s3://archive/scans", "-o", "s3://archive/out", *how, *more)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_gets_the_same_bytes_here_and_from_two_nodes_one_of_which_is_killed(
    here, bucket, run, nodes, monkeypatch
):
    bucket.put(str(here / "photos"), "archive/scans", recursive=True)
    made = content(here / "one" / "out")
    del made["manifest.jsonl"]
    assert run(*s3_command())[0] == 1
    single = stored(bucket)
    page = {name for name in single if name.startswith("report")}
    assert len(page) == 1 + 30 + 2 * 3
    assert {k: v for k, v in single.items() if k not in page | {"manifest.jsonl"}} == made
    bucket.rm("archive/out", recursive=True)
    monkeypatch.setattr(
        "faceren.commands.stored.InStore",
        lambda *asked: partial(dying, here / "mark", "", InStore(*asked)),
    )
    status, _, said = run(*s3_command("--cluster", "ray", "--cluster-workers", "2"))
    assert status == 1
    assert "33 photos: 2 restored, 30 without a face, 1 failed" in said
    assert (here / "mark").exists()
    again = stored(bucket)
    assert {**again, "manifest.jsonl": b""} == {**single, "manifest.jsonl": b""}
    record = bucket.cat_file("archive/out/manifest.jsonl").splitlines()
    keys = [json.loads(line)["key"] for line in record[1:]]
    assert keys == sorted(p.name for p in (here / "photos").iterdir())


def stored(bucket):
    bucket.invalidate_cache()
    return {
        name.removeprefix("archive/out/"): CLOCK.sub(rb"\1", bucket.cat_file(name))
        for name in bucket.find("archive/out")
    }


READS_NO_SCANS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::archive/scans/*"},
    ],
}


@pytest.fixture
def may_only_list(bucket, port, monkeypatch):
    """Ask the bucket as somebody who may list scans, but not read them."""
    boto3, requests = pytest.importorskip("boto3"), pytest.importorskip("requests")
    iam = boto3.client("iam")
    iam.create_user(UserName="reader")
    policy = json.dumps(READS_NO_SCANS)
    iam.put_user_policy(UserName="reader", PolicyName="lists", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    requests.post(f"http://127.0.0.1:{port}/moto-api/reset-auth", data=b"0", timeout=10)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    type(bucket).clear_instance_cache()
    yield
    requests.post(f"http://127.0.0.1:{port}/moto-api/reset-auth", data=b"1e9", timeout=10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bucket_that_lists_but_does_not_read_fails_photo_by_photo(
    here, bucket, run, request, monkeypatch
):
    bucket.put(str(here / "photos"), "archive/scans", recursive=True)
    request.getfixturevalue("may_only_list")
    status, _, said = run(*s3_command())
    assert status == 1
    assert "33 photos: 0 restored, 33 failed" in said
    assert said.count("cannot be read: ") == 33
    assert said.count("; give credentials that may do this") == 33


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_missing_credentials_are_named(bucket, run, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    status, _, said = run(*s3_command())
    assert status == 4
    assert said.count("\n") == 1
    assert re.search("s3://archive/scans: cannot be .*give credentials that may do this", said)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_training_reads_a_bucket_in_processes_that_were_forked(tmp_path, bucket):
    recipe = write_recipe(tmp_path, train={"steps": 2}, data={"fixed_damage": True, "workers": 2})
    bucket.put(str(tmp_path / "faces"), "archive/faces", recursive=True)
    disk = losses(train(recipe, tmp_path / "disk", "data.cache_gib=0"))
    stored = "data.train=s3://archive/faces"
    assert losses(train(recipe, tmp_path / "store", stored, "data.cache_gib=0")) == disk
    assert len(disk) == 2
