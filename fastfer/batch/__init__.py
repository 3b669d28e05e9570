"""Archives: millions of photos and hours of video into one table.

:func:`fastfer.batch.run` is ``fastfer batch`` as a function. :class:`fastfer.batch.Analyzer` is a
picklable callable for engines that distribute work, such as Ray, Spark and Dask;
:mod:`fastfer.batch.ray` is a pipeline for the first. The columns are those of
:mod:`fastfer.outputs.parquet_schema`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fastfer.batch.analyzer import Analyzer as Analyzer
    from fastfer.batch.job import JobOptions as JobOptions
    from fastfer.batch.job import run as run
    from fastfer.batch.merging import merge as merge
    from fastfer.batch.summary import Summary as Summary

_MODULES: Final = {
    "Analyzer": "analyzer",
    "JobOptions": "job",
    "Summary": "summary",
    "merge": "merging",
    "run": "job",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> object:
    """Import the module of a public name on first access."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
