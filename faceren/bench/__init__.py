"""Measure what the other commands do: how good, how fast, and beside what."""
