"""The comparison plot stays legible."""

from __future__ import annotations

import pytest

from training.expression import plots

# Milliseconds per face of networks that are close together, far apart, and equal.


SPREADS = {
    "close": [0.31, 0.312, 0.33, 0.35, 0.36],
    "within one decade": [0.11, 0.12, 0.4, 0.41, 0.6],
    "wide": [0.02, 0.021, 0.5, 7, 120],
    "one point": [0.3] * 5,
}


@pytest.mark.parametrize("times", SPREADS.values(), ids=list(SPREADS))
def test_labels_of_the_comparison_do_not_overlap(tmp_path, monkeypatch, times):
    monkeypatch.setattr(plots.plt, "close", lambda figure: drawn.append(figure))
    drawn: list = []
    names = [f"_run-{i}-with-a-long-name-fer2013" for i in range(len(times))]
    reports = {
        name: {"ms_per_face": {"8": ms}, "accuracy": 0.65 + i / 1e4, "bytes": 8e5 * (i + 1)}
        for i, (name, ms) in enumerate(zip(names, times, strict=True))
    }
    plots.accuracy_against_latency(reports, tmp_path / "c.png")
    (figure,) = drawn
    monkeypatch.undo()
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    ticks = [
        label
        for at, label in zip(
            axes.get_xticks(minor=False), axes.get_xticklabels(minor=False), strict=True
        )
        if low <= at <= high and label.get_text()
    ]
    assert len(ticks) >= 2
    assert not [x for x in axes.get_xticklabels(minor=True) if x.get_text()]
    texts = axes.get_legend().get_texts()
    assert [name in t.get_text() for name, t in zip(reversed(names), texts, strict=True)] == [
        True
    ] * len(names), "the most accurate first"
    boxes = [t.get_window_extent() for t in (*ticks, *texts)]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    frame = axes.get_window_extent()
    assert not any(t.get_window_extent().overlaps(frame) for t in texts), "beside the points"
    plots.plt.close(figure)
