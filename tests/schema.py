"""The JSON Schema of a manifest, as tests hold lines against it."""

import json
from pathlib import Path

import pytest

import faceren.runs

SCHEMA = json.loads(
    (Path(faceren.runs.__file__).parent / "manifest.schema.json").read_text(encoding="utf-8")
)


def validator():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return jsonschema.Draft202012Validator(SCHEMA)


def wrong(line):
    """Return what is wrong with a line, in the words of the library; nothing if all is well."""
    return [error.message for error in validator().iter_errors(line)]
