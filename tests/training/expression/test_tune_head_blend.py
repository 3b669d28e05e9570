"""The tables of blends and priors."""

from __future__ import annotations

from fastfer.errors import UsageError
from fastfer.priors import PRIORS
from training.common.run_folder import BEST
from training.expression import tune_head_blend


def test_blends_and_priors_are_compared(two_heads, trained_run, photos_npz, monkeypatch, capsys):
    monkeypatch.setattr(tune_head_blend, "BLENDS", (0.0, 1.0))
    monkeypatch.setattr(tune_head_blend, "LEVEL_SHARES", (0.3,))
    assert tune_head_blend.main([str(two_heads), "--photos", str(photos_npz)]) == 0
    tables = capsys.readouterr().out.split("\n\n")
    rows = [line.split("|") for line in tables[0].splitlines()]
    assert [float(row[1]) for row in rows[2:]] == [0, 1]
    assert all(len(row) == 2 + 2 + 4 + 1 for row in rows)
    named = [line.split(" | ")[:2] for line in tables[2].splitlines()[2:]]
    assert [(head.strip("| "), prior) for head, prior in named] == [
        (head, prior) for head in ("default", "ferplus", "fer2013") for prior in ("level", *PRIORS)
    ]
    usage = UsageError.exit_code
    assert tune_head_blend.main([str(trained_run), "--votes", "x.csv"]) == usage
    assert tune_head_blend.main([str(two_heads / BEST), "--votes", ""]) in (0, usage)
