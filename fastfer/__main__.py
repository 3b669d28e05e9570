"""``python -m fastfer``."""

from fastfer.cli import terminal
from fastfer.cli.main import main

if __name__ == "__main__":
    terminal.leave(main())
