"""Imports go down the layers only; heavy libraries stay where they belong."""

import ast
import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "faceren"
LAYERS = [
    {"__main__"},
    {"cli"},
    {"api"},  # what programs call
    {"bench"},  # runs the other commands as a user would, and measures them
    {"server"},  # a page that runs the commands
    {"commands"},
    {"restoration", "training", "pages"},
    {"engines"},
    {"inference", "degradation", "metrics"},
    {"runs"},
    {"faces", "checkpoint"},
    {"networks"},
    {"assets", "images", "graphs"},
    {"weights"},
    {"config", "files"},
    {"arrays", "checks"},
    {"errors"},
]
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            parts = node.module.split(".")
            if parts[0] == "faceren":
                yield from parts[1:2] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name.split(".")[1]
                for alias in node.names
                if alias.name.startswith("faceren.")
            )


def test_every_module_has_a_layer():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert rooms == set(RANK) & rooms
    assert rooms <= set(RANK)


def upward_imports():
    """Return the imports that go up the layers, or sideways."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        room = room_of(path)
        for target in imported_rooms(path):
            other = room != "__init__" and target in RANK and target != room
            if other and RANK[target] <= RANK[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {target}")
    return wrong


def test_imports_go_down_only():
    assert upward_imports() == []


def test_no_modules_import_one_another():
    from tests.house import cycles, edges, trees

    assert cycles(edges(trees())) == []


def test_nothing_imports_torchvision():
    for path in PACKAGE.rglob("*.py"):
        assert "import torchvision" not in path.read_text(encoding="utf-8"), path


def test_no_module_prints():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            assert not (called and node.func.id == "print"), path


def test_what_needs_no_network_loads_no_torch():
    """Torch takes seconds to load; ``degrade``, ``--revert`` and refusals of a run do without."""
    rooms = [path for room in ("runs", "restoration") for path in room_files(room)]
    rooms += [PACKAGE / "commands" / f"{name}.py" for name in ("degrade", "restore", "review")]
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in rooms]
    code = "import sys, importlib\nfor name in sys.argv[1:]:\n importlib.import_module(name)\n"
    code += " assert 'torch' not in sys.modules, name"
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def room_files(room):
    return sorted((PACKAGE / room).rglob("*.py"))


def test_the_readme_shows_the_rooms_in_this_order_and_no_file_that_is_not_there():
    text = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Architecture") : text.index("## Development")]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    shown = [{name.strip("`/").removesuffix(".py") for name in row.split(", ")} for row in rows]
    assert shown == [layer for layer in LAYERS if layer != {"__main__"}]
    named = set(re.findall(r"`([a-z_/]+\.py)`", section)) - {"tests/test_layers.py"}
    files = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert {n for n in named if not any(f"/{f}".endswith(f"/{n}") for f in files)} == set()
