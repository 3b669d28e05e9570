"""The measurement of the tab Live counts results, in the system's Chromium."""

from __future__ import annotations

import sys

import pytest

from benchmarks import live_page


def test_a_round_has_results_and_processor_times(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["live_page", "--rounds", "1", "--seconds", "2"])
    live_page.main()
    title, line, _ = capsys.readouterr().out.splitlines()
    assert "640 x 480" in title
    words = line.replace(",", " ").split()
    results, frames = float(words[0]), float(words[2 + words[1:].index("of")])
    assert 0 < results <= frames + 2
    for owner in ("server", "browser"):
        assert float(words[words.index(owner) + 1]) > 0
