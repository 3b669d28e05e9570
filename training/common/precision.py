"""The option ``--precision``: the number format that a network trains in."""

from __future__ import annotations

import argparse
from pathlib import Path

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--precision`` to ``parser``."""
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto",
        help="auto: bfloat16 if the CPU supports it in hardware, else float32",
    )  # fmt: skip


def resolve(wanted: str) -> str:
    """The Keras dtype policy for one of :data:`PRECISIONS` on this CPU."""
    if wanted != "auto":
        return wanted
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return "float32"
    return "mixed_bfloat16" if "amx_bf16" in flags or "avx512_bf16" in flags else "float32"
