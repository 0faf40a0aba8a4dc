"""How good restored faces are: one plain function a file, and what puts them together."""
