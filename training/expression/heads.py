"""Names of the output heads in training."""

from __future__ import annotations

from typing import Final

FER2013: Final = "fer2013"
"""Trained on FER-2013's labels."""
FERPLUS: Final = "ferplus"
"""Trained on the votes of FER+."""
