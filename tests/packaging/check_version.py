"""Check a release tag: ``python tests/packaging/check_version.py v1.2.3``.

The tag, ``pyproject.toml``, ``fastfer.__version__``, ``CITATION.cff`` and ``CHANGELOG.md`` must
name the same version.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = {
    "fastfer/__init__.py": r'^__version__(?:: \w+)? = "(.+)"$',
    "CITATION.cff": r"^version: (.+)$",
    "CHANGELOG.md": r"^## \[(\d.*?)\]",
}
"""The first match in each file is the version that it names."""


def versions() -> dict[str, str | None]:
    """The version that each file names; ``None`` if it names none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, str | None] = {"pyproject.toml": project["version"]}
    for name, pattern in PATTERNS.items():
        match = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        found[name] = match[1] if match else None
    return found


def main() -> int:
    """Print what each file names; returns 1 unless all name the version of the tag."""
    tag = sys.argv[1]
    found = versions()
    for name, version in found.items():
        print(f"{name}: {version}")
    wrong = [name for name, version in found.items() if f"v{version}" != tag]
    if wrong:
        print(f"the tag is {tag}; correct {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
