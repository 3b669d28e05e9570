"""A small model that a local server offers for download."""

from __future__ import annotations

import hashlib

from fastfer.models import store
from fastfer.models.store import Download

DATA = bytes(range(256)) * 600


def net_at(url: str) -> Download:
    return Download(
        name="net",
        url=url,
        file="net.onnx",
        sha256=hashlib.sha256(DATA).hexdigest(),
        size=len(DATA),
        licence="MIT",
        description="a test",
        input="nothing",
    )


def files_in_store() -> list[str]:
    folder = store.home() / "models"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []
