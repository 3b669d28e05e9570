"""The number format of training."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from training.common import precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : sse2 avx512_bf16 amx_tile", "mixed_bfloat16"),
        ("flags : sse2 amx_bf16", "mixed_bfloat16"),
        ("flags : sse2 avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_auto_follows_the_processor(
    flags: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path, **_: object) -> str:
        assert str(path) == "/proc/cpuinfo"
        if flags is None:
            raise FileNotFoundError
        return flags

    monkeypatch.setattr(Path, "read_text", read)
    assert precision.resolve("auto") == expected
    assert precision.resolve("mixed_float16") == "mixed_float16"


def test_the_option_takes_known_formats(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    precision.add_option(parser)
    assert parser.parse_args([]).precision == "auto"
    assert parser.parse_args(["--precision", "float32"]).precision == "float32"
    with pytest.raises(SystemExit):
        parser.parse_args(["--precision", "int4"])
