"""pytest, for the benchmarks to import: without pytest-benchmark they end with a hint."""

from benchmarks.pytest_command import require_pytest_benchmark

require_pytest_benchmark()
import pytest as pytest  # noqa: E402
