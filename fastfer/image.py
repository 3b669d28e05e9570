"""``python -m fastfer.image``: see :mod:`fastfer.cli.image`."""

from fastfer.cli import interrupts

if __name__ == "__main__":
    interrupts.end_quietly()

from fastfer.cli import terminal
from fastfer.cli.image import main

if __name__ == "__main__":
    terminal.leave(main())
