"""pytest, for the benchmarks to import: without it they end with a hint."""

from benchmarks.pytest_command import require_pytest_benchmark

try:
    import pytest as pytest
except ImportError:
    require_pytest_benchmark()
    raise
