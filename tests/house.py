"""Figures of the house: how many rooms, how they hang together, how far one photo walks.

``python -m tests.house`` prints them; only cycles and upward imports are gates (``test_layers``).
"""

import ast
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.test_layers import PACKAGE, upward_imports

LONG, WIDE = 60, 12
"""Lines of a function and parameters of a signature beyond which the script names it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Tree = dict[str, ast.Module]


def trees() -> Tree:
    """Return every module of the package, parsed, by its dotted name."""
    return {
        ".".join(("faceren", *path.relative_to(PACKAGE).with_suffix("").parts)): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def is_typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(tree: ast.AST) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what is imported when the code runs, lazily or not: a module, and names of it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif not is_typing_only(node):
            yield from imports(node)


def edges(modules: Tree) -> dict[str, set[str]]:
    """Return which modules each module imports; a package's name is its ``__init__``."""
    graph: dict[str, set[str]] = {name: set() for name in modules}

    def known(name: str) -> str | None:
        return next((n for n in (name, f"{name}.__init__") if n in modules), None)

    for name, tree in modules.items():
        for module, names in imports(tree):
            inner = [found for part in names if (found := known(f"{module}.{part}"))]
            whole = known(module)
            outer = [whole] if whole and len(inner) < max(1, len(names)) else []
            graph[name] |= {*inner, *outer} - {name}
    return graph


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the sets of modules that import one another, round about."""
    reach = {name: _reachable(graph, name) for name in graph}
    groups = {frozenset(m for m in reach[n] if n in reach[m]) for n in graph if n in reach[n]}
    return [set(group) for group in groups]


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(graph[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(graph[name])
    return seen


def functions(modules: Tree) -> list[tuple[str, Function]]:
    return [
        (f"{name}.{node.name}", node)
        for name, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    ]


def width(function: Function) -> int:
    """Return how many parameters a signature has, without self and cls."""
    given = function.args
    names = [p.arg for p in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def single_callers(modules: Tree) -> list[str]:
    """Return the private functions that one other function alone names."""
    found = []
    for module, tree in modules.items():
        users: dict[str, set[int]] = defaultdict(set)
        _users(tree, id(tree), users)
        own = {node.name: node for node in ast.walk(tree) if isinstance(node, Function)}
        for name, node in own.items():
            if is_private(name) and len(users[name] - {id(node)}) == 1:
                found.append(f"{module}.{name}")
    return found


def _users(node: ast.AST, inside: int, users: dict[str, set[int]]) -> None:
    """Note for each name in which functions it is read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name):
            users[child.id].add(inside)
        elif isinstance(child, ast.Attribute):
            users[child.attr].add(inside)
        _users(child, id(child) if isinstance(child, Function) else inside, users)


def walked() -> tuple[int, int]:
    """Return how many modules and functions of the package run for one gray JPEG with a face."""
    import numpy as np
    from PIL import Image

    from faceren.assets import samples_dir
    from faceren.cli import app

    seen: set[tuple[str, str]] = set()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(str(PACKAGE)):
            seen.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    source = sorted((samples_dir() / "clean").iterdir())[0]
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "gray.jpg"
        with Image.open(source) as image:
            Image.fromarray(np.asarray(image.convert("L").resize((256, 256)))).save(photo)
        arguments = ["restore", str(photo), "-o", str(Path(folder) / "out"), "--device", "cpu"]
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            app([*arguments, "--quiet", "--no-report"], standalone_mode=False)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    seen = {(file, name) for file, name in seen if name != "<module>"}
    return len({file for file, _ in seen}), len(seen)


def main() -> None:
    modules = trees()
    graph = edges(modules)
    importers = Counter(target for targets in graph.values() for target in targets)
    rooms = [name for name in modules if not name.endswith(("__init__", "__main__"))]
    once = [name for name in rooms if importers[name] == 1]
    every, single = functions(modules), single_callers(modules)
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py"))
    long = [n for n, f in every if (f.end_lineno or 0) - f.lineno + 1 > LONG]
    wide = [n for n, f in every if width(f) > WIDE]
    say = sys.stdout.write
    say(f"modules                          {len(modules)}, {len(rooms)} without __init__\n")
    say(f"lines                            {lines}\n")
    say(f"imported by exactly one other    {len(once)} ({len(once) / len(rooms):.0%})\n")
    say(f"functions                        {len(every)}\n")
    share = len(single) / len(every)
    say(f"private with one caller          {len(single)} ({share:.1%} of all functions)\n")
    say(f"functions over {LONG} lines          {len(long)} {long}\n")
    say(f"signatures over {WIDE} parameters    {len(wide)} {wide}\n")
    say(f"import cycles                    {len(cycles(graph))} {cycles(graph) or ''}\n")
    say(f"upward imports                   {len(upward_imports())} {upward_imports() or ''}\n")
    if "--walk" in sys.argv:
        say("one gray JPEG                    {} modules, {} functions\n".format(*walked()))


if __name__ == "__main__":
    main()
