"""Every command that the README shows is run here; the two that set up are run by ``.ci/run``."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from skimage import data
from torch.distributed.run import get_args_parser
from typer.main import get_command

from faceren import cli
from faceren.assets import models_dir, recipe_path, samples_dir
from faceren.training.recipe_file import load_recipe

README = Path(__file__).parents[1] / "README.md"
INSTALLS = {
    "pip install . && faceren restore sample_photos/ -o out/",
    "pip install -e '.[test]' && pytest",
}
SMALLER = {
    "faceren benchmark": ["--seconds", "0.2"],
    "faceren train": [
        *("-O", "train.steps=1", "-O", "train.batch=1", "-O", "validate.images=1"),
        *("-O", "data.size=64", "-O", "validate.size=64"),
    ],
}
"""Overrides that keep commands of minutes or hours to seconds."""


def shown_commands():
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_two_set_up_commands_are_shown():
    assert set(shown_commands()) >= INSTALLS


def test_every_command_in_prose_is_a_command():
    known = {
        "restore",
        "degrade",
        "train",
        "evaluate",
        "benchmark",
        "export",
        "models",
        "open",
        "COMMAND",
    }
    used = set(re.findall(r"`faceren (\w+)", README.read_text(encoding="utf-8")))
    assert used <= known


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working directory as the README's reader has it."""
    place = tmp_path_factory.mktemp("reader")
    (place / "old_photos").mkdir()
    Image.fromarray(data.astronaut()).save(place / "old_photos" / "astronaut.jpg")
    shutil.copytree(samples_dir(), place / "sample_photos")
    shutil.copytree(samples_dir() / "clean", place / "faces")
    (place / "models").mkdir()
    for recipe in models_dir().glob("*.yaml"):
        shutil.copy(recipe, place / "models")
    return place


@pytest.mark.parametrize("command", [c for c in shown_commands() if c not in INSTALLS])
def test_a_shown_command_runs(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FACEREN_DEVICE", "cpu")
    arguments = shlex.split(command)
    assert arguments[0] == "faceren"
    extra = SMALLER.get(" ".join(arguments[:2]), [])
    monkeypatch.setattr(sys, "argv", [*arguments, *extra])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0, capsys.readouterr().err


def blocks(language):
    pattern = rf"```{language}\n(.*?)```"
    return re.findall(pattern, README.read_text(encoding="utf-8"), re.DOTALL)


def check_training(arguments):
    """Check what follows ``torchrun``: its own options, our command, the recipe's keys."""
    how = get_args_parser().parse_args(arguments)
    assert (how.module, how.training_script) == (True, "faceren")
    name, *rest = how.training_script_args
    command = get_command(cli.app).commands[name]
    given = command.make_context(name, rest).params  # raises if one of them is unknown
    recipe = load_recipe(recipe_path(Path(given["recipe"])), given["override"])
    nodes, here = int(how.nnodes.split(":")[0]), int(how.nproc_per_node)
    assert recipe.train.batch % (nodes * here * recipe.train.accumulate) == 0
    assert nodes == 1 or (how.rdzv_backend == "c10d" and how.rdzv_endpoint.endswith(":29500"))


@pytest.mark.parametrize("script", blocks("bash"))
def test_a_shown_script_is_one_and_its_command_is_ours(script, tmp_path):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    joined = script.replace("\\\n", " ")
    (line,) = [line for line in joined.splitlines() if "torchrun" in line]
    words = shlex.split(line)
    check_training(words[words.index("torchrun") + 1 :])
    for options in re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE):
        assert all(re.fullmatch(r"--[a-z-]+(=\S+)?", option) for option in options.split())


def test_the_shown_job_is_one_and_its_command_is_ours():
    (text,) = blocks("yaml")
    service, job = yaml.safe_load_all(text)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    first, *arguments = container["command"]
    assert first == "torchrun"
    check_training(arguments)
    assert f"--nnodes={job['spec']['completions']}" in arguments
    assert job["spec"]["parallelism"] == job["spec"]["completions"]
    assert f"--nproc-per-node={container['resources']['limits']['nvidia.com/gpu']}" in arguments
    name = job["metadata"]["name"]  # its pods are name-0, name-1 ... below the service
    assert service["spec"]["selector"] == {"job-name": name}
    assert pod["subdomain"] == service["metadata"]["name"]
    assert f"--rdzv-endpoint={name}-0.{pod['subdomain']}:29500" in arguments
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
