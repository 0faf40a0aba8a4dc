"""Recipes on disk: YAML to ``Recipe`` and back, overrides, inheritance, differences."""

import dataclasses
import hashlib
import json
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from yaml.composer import ComposerError

from faceren.checks import hints_of, nearest
from faceren.errors import ConfigError
from faceren.files import read_bounded
from faceren.training.recipe import Recipe

Tree = dict[str, Any]

HARMLESS = (
    *("data.workers", "data.cache_gib", "data.disk_gib"),
    *("train.accumulate", "train.save_every", "train.save_minutes"),
)
"""What may change between the parts of one run: it decides how fast, never what is computed."""

LARGEST, DEEPEST, MOST_DIGITS = 2**20, 10, 30
"""Bytes, levels, and digits of a number that a recipe may have."""
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
MAX_PARENTS = 8
"""Recipes that ``extends`` may chain before it is taken for a circle."""

OLDER_KEYS = {
    ("train", "stairs"): "lr_steps",
    **{
        ("loss", name): ""
        for name in ("eyes", "inner_vgg", "identity", "identity_weights", "discriminator_eyes")
    },
}
"""Keys of older recipes and what they are called today; empty if what they weighed is gone."""


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: YAML file. Its key ``extends`` names another one, relative to it, whose values hold
            where this one is silent.
        overrides: ``section.key=value`` each, the value in YAML.

    Raises:
        ConfigError: If the file is not there or no YAML, a key is unknown, or a value is of
            another type or outside its range.
    """
    tree = _read_tree(path, parents=0)
    for override in overrides:
        tree = _merge(tree, _renamed(_parse_override(override)))
    try:
        recipe: Recipe = _build(Recipe, tree, "")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return recipe


def recipe_tree(recipe: Recipe) -> Tree:
    """Return every field as plain values, ready for YAML and JSON."""
    tree: Tree = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return tree


def dump_recipe(recipe: Recipe) -> str:
    """Return the whole recipe as YAML that ``load_recipe`` reads back unchanged."""
    return yaml.safe_dump(recipe_tree(recipe), sort_keys=False, allow_unicode=True)


def recipe_sha256(recipe: Recipe) -> str:
    """Return the SHA-256 of the resolved recipe, 64 hexadecimal digits."""
    canonical = json.dumps(recipe_tree(recipe), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def difference(old: Recipe, new: Recipe) -> list[str]:
    """Return ``key: old -> new`` for each field that differs and can change a result."""
    before, after = _flat(recipe_tree(old), ""), _flat(recipe_tree(new), "")
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in sorted(before | after)
        if before.get(key) != after.get(key) and key not in HARMLESS
    ]


def _flat(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {key: value}
    parts = (_flat(inner, f"{key}.{name}" if key else name) for name, inner in value.items())
    return {name: inner for part in parts for name, inner in part.items()}


class _Loader(yaml.SafeLoader):
    """Plain values of bounded depth and length, each written out: what a recipe is made of."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Read a value and what is in it; an alias could stand for more than memory holds."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise ComposerError(None, None, "expected no aliases", mark)
        if getattr(event, "tag", None):  # !!bool x, say, is none, and not checked by yaml
            raise ComposerError(None, None, "expected no tags", mark)
        if self.depth == DEEPEST:
            raise ComposerError(None, None, f"deeper than {DEEPEST} levels", mark)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Return the text of a scalar; a number of many digits would take long to read."""
        if node.tag in NUMBERS and len(node.value) > MOST_DIGITS:
            mark: Any = node.start_mark
            raise ComposerError(None, None, "expected fewer digits", mark)
        return super().construct_scalar(node)


def _parsed(text: str) -> Any:
    """Return the values of a YAML text.

    Raises:
        yaml.YAMLError: If it is none, or goes beyond what a recipe needs.
        ValueError: If a date in it is none.
    """
    return yaml.load(text, _Loader)


def _read_tree(path: Path, parents: int) -> Tree:
    try:
        tree = _parsed(read_bounded(path, LARGEST).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"expected a recipe at {path}: {error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected the keys of a recipe, got {type(tree).__name__}")
    tree = _renamed(tree)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if parents == MAX_PARENTS or not isinstance(parent, str):
        raise ConfigError(
            f"{path}: extends: expected the file name of a recipe, got {parent!r:.80}"
        )
    return _merge(_read_tree(path.parent / parent, parents + 1), tree)


def _renamed(tree: Tree) -> Tree:
    """Return a tree with the keys of today; a loss that is gone may stand there with weight 0."""
    sections = {key: dict(value) for key, value in tree.items() if isinstance(value, dict)}
    for (section, old), new in OLDER_KEYS.items():
        values = sections.get(section, {})
        if old in values and new:
            values[new] = values.pop(old)
        elif not values.get(old, True):
            del values[old]
    return {**tree, **sections}


def _merge(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    merged = {key: _merge(below[key], above[key]) for key in below.keys() & above.keys()}
    return {**below, **above, **merged}


def _parse_override(text: str) -> Tree:
    key, equals, value = text.partition("=")
    names = key.strip().split(".")
    if not equals or not all(names) or len(names) > DEEPEST:
        raise ConfigError(f"-O: expected section.key=value, got {text!r:.80}")
    try:
        tree: Any = _parsed(value)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"-O {key}: the value {value!r:.80} is no YAML; quote it") from error
    for name in reversed(names):
        tree = {name: tree}
    return tree


def _build(kind: Any, tree: Any, where: str) -> Any:
    """Return the dataclass ``kind`` with the values of ``tree``; ``where`` is its key.

    What a field may be is for the dataclass to check.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where}: expected a section with keys, got {tree!r:.80}")
    hints = hints_of(kind)
    values = {}
    for name, value in tree.items():
        key = f"{where}.{name}" if where else str(name)
        if name not in hints:
            raise ConfigError(f"unknown key {key!r:.80}{nearest(str(name), hints)}")
        values[name] = _from_yaml(hints[name], value, key)
    for field in dataclasses.fields(kind):
        needed = field.default is field.default_factory  # both are missing
        if needed and field.name not in values:
            raise ConfigError(f"expected the key {f'{where}.{field.name}'.strip('.')!r}, got none")
    return kind(**values)


def _from_yaml(hint: Any, value: Any, key: str) -> Any:
    """Return a value as a field of this type holds it: sections, tuples and floats are made."""
    if get_origin(hint) is Annotated:
        return _from_yaml(get_args(hint)[0], value, key)
    if get_origin(hint) in (Union, types.UnionType):
        inner = next(kind for kind in get_args(hint) if kind is not type(None))
        return None if value is None else _from_yaml(inner, value, key)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, key)
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        many = kinds[-1] is Ellipsis
        if many and not isinstance(value, list):
            value = [value]  # one may stand alone
        if not isinstance(value, list):
            return value
        return tuple(_from_yaml(kinds[0], item, key) for item in value)  # all parts are alike
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            return float(value)  # YAML 1.1 reads 1e-4 as a string
    return value
