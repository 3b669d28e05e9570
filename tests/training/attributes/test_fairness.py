"""The fairness table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.attributes import fairness


@pytest.mark.parametrize("count", range(1, 800, 7))
def test_the_interval_of_none_begins_at_0(count: int) -> None:
    assert fairness.interval(np.zeros(count, bool)).startswith("0.0 (0.0 to ")
    assert fairness.interval(np.ones(count, bool)).endswith(" to 100.0)")


def test_interval_of_a_share() -> None:
    # Wilson's interval of 8 in 10, as in Newcombe (1998): 0.490 to 0.943.
    hits = np.arange(10) < 8
    assert fairness.interval(hits) == "80.0 (49.0 to 94.3)"


def test_mean_with_its_interval() -> None:
    # The standard deviation of 0 and 1 is 0.5: 1.96 * 0.5 / sqrt(100).
    assert fairness.mean(np.arange(100, dtype=np.float32) % 2) == "0.500 ± 0.098"


def test_the_table_has_a_row_for_each_group_with_faces(
    attribute_faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fairness.main(["--data", str(attribute_faces)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| all | 300 | 90.0 (86.1 to 92.9) |")  # 270 of 300 found
    cells = dict(zip(lines[0].split(" | "), lines[2].split(" | "), strict=True))
    assert 0 < float(cells["uncertainty"].split(" ± ")[0]) < 1
    assert any(line.startswith("| East Asian |") for line in lines)
    assert len({line.count("|") for line in lines}) == 1
