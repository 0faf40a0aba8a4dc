"""Restore faces in old photographs, and degrade, train, evaluate, compare."""

__version__ = "0.1.0"
