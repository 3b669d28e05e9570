"""Check that a built site loads nothing from other hosts: ``check_site.py SITE``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?(?:https?:)?//"""
    r"""|url\(["']?(?:https?:)?//|@import\s*["'](?:https?:)?//"""
)


def main() -> int:
    """Print each place that loads from another host; returns 1 if there is one."""
    found = 0
    for path in sorted(Path(sys.argv[1]).rglob("*")):
        if path.suffix in (".html", ".css"):
            for match in LOADED.finditer(path.read_text(encoding="utf-8")):
                print(f"{path}: {match[0]}")
                found += 1
    print(f"{found} requests to other hosts")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
