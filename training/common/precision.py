"""In which numbers a network is trained: what ``--precision`` means."""

from __future__ import annotations

import argparse
from pathlib import Path

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let ``parser`` take ``--precision``."""
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto",
        help="auto: bfloat16 where the processor computes in it, else float32",
    )  # fmt: skip


def resolve(wanted: str) -> str:
    """Keras's policy for one of :data:`PRECISIONS` on this processor."""
    if wanted != "auto":
        return wanted
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return "float32"
    return "mixed_bfloat16" if "amx_bf16" in flags or "avx512_bf16" in flags else "float32"
