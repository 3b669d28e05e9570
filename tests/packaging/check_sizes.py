"""Check the sizes of built distributions: ``python tests/packaging/check_sizes.py DIST``."""

from __future__ import annotations

import sys
from pathlib import Path

LIMITS = {".whl": 5_000_000, ".gz": 6_000_000}
"""Bytes at most, by the suffix of the file."""


def main() -> int:
    files = sorted(f for f in Path(sys.argv[1]).iterdir() if f.suffix in LIMITS)
    if {f.suffix for f in files} != set(LIMITS):
        print(f"expected a wheel and a source distribution; found {[f.name for f in files]}")
        return 1
    too_large = 0
    for file in files:
        size, limit = file.stat().st_size, LIMITS[file.suffix]
        too_large += size > limit
        print(f"{file.name}: {size / 1e6:.2f} MB of {limit / 1e6:.0f} MB")
    return int(too_large > 0)


if __name__ == "__main__":
    sys.exit(main())
