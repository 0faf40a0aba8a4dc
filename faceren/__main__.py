"""``python -m faceren``."""

from faceren.cli import main

if __name__ == "__main__":
    main()
