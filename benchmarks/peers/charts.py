"""Charts of the figures, as SVG files for light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.peers.measure import Figures
from benchmarks.peers.peers import Peer

THEMES = {
    "light": {"text": "#24292f", "grid": "#d0d7de", "ours": "#0969da", "peer": "#8c959f"},
    "dark": {"text": "#e6edf3", "grid": "#30363d", "ours": "#58a6ff", "peer": "#6e7681"},
}
Value = Callable[[Figures], float | None]
PANELS: tuple[tuple[str, str, Value], ...] = (
    ("First answer (s)", "{:.2g}", lambda f: f.first_answer_s),
    ("One photo (ms)", "{:.3g}", lambda f: f.photo_ms),
    ("Processor seconds\nfor a minute of video", "{:.3g}", lambda f: f.cpu_s_per_minute),
    ("Peak memory (MB)", "{:.0f}", lambda f: f.peak_mb),
    ("Installed (MB)", "{:.0f}", lambda f: f.install_mb),
    ("Faces found (%)", "{:.0f}", lambda f: None if f.recall is None else 100 * f.recall),
)
"""Heading, format of the number at a bar, and value."""


def draw(figures: dict[str, Figures], peers: Iterable[Peer], stem: Path) -> list[Path]:
    """Write ``STEM-light.svg`` and ``STEM-dark.svg``; returns their paths."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    shown = [peer for peer in peers if not figures[peer.name].problem]
    written = []
    for theme, colors in THEMES.items():
        settings: Any = {"svg.hashsalt": "fastfer", "text.color": colors["text"], "font.size": 9}
        with matplotlib.rc_context(settings):
            figure, axes = pyplot.subplots(2, 3, figsize=(10, 5.2), sharey=True)
            for panel, (heading, form, value) in zip(axes.flat, PANELS, strict=True):
                _panel(panel, heading, form, [value(figures[p.name]) for p in shown], shown, colors)
            figure.tight_layout()
            path = stem.with_name(f"{stem.name}-{theme}.svg")
            figure.savefig(path, transparent=True, metadata={"Date": None})
            pyplot.close(figure)
        written.append(path)
    return written


def _panel(
    axes: Any, heading: str, form: str, values: list[float | None], peers: list[Peer],
    colors: dict[str, str],
) -> None:  # fmt: skip
    rows = range(len(peers))
    ours = [colors["ours" if peer.name.startswith("fastfer") else "peer"] for peer in peers]
    axes.barh(rows, [value or 0 for value in values], color=ours, height=0.7)
    largest = max((value for value in values if value), default=1)
    for row, value in zip(rows, values, strict=True):
        text = "-" if value is None else form.format(value)
        axes.text((value or 0) + largest * 0.02, row, text, va="center", color=colors["text"])
    axes.set_xlim(0, largest * 1.22)
    axes.set_yticks(rows, [peer.title.replace("`", "") for peer in peers])
    axes.invert_yaxis()
    axes.set_title(heading, color=colors["text"], fontsize=10, loc="left")
    axes.set_xticks([])
    axes.tick_params(colors=colors["text"], length=0)
    axes.set_facecolor("none")
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(colors["grid"])
