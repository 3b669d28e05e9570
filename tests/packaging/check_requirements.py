"""Check which OpenCV a build requires: ``python tests/packaging/check_requirements.py REPOSITORY``.

Needs the package ``build``; nothing is compiled.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from build.util import project_wheel_metadata

EXPECTED = {"0": "opencv-python", "1": "opencv-python-headless"}
"""By the value of FASTFER_HEADLESS."""


def problems(repository: str) -> list[str]:
    """What is wrong with the requirements."""
    found = []
    for value, package in EXPECTED.items():
        os.environ["FASTFER_HEADLESS"] = value
        requirements = project_wheel_metadata(repository).get_all("Requires-Dist") or []
        opencv = [text for text in requirements if text.startswith("opencv")]
        if len(opencv) != 1 or opencv[0].rstrip("0123456789.<>=!~, ") != package:
            found.append(f"FASTFER_HEADLESS={value}: requires {opencv}, not {package}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Print the problems; returns the number of them."""
    found = problems(arguments[0])
    print("\n".join(found) or "requirements: as expected")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
