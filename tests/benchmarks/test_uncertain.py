"""Faces that nobody can read are marked, and keep their rows."""

from __future__ import annotations

from benchmarks.inputs import astronaut
from benchmarks.uncertain import cartoons, heads, share_uncertain, squares, tiny
from fastfer.engine import Engine


def test_tiny_faces_and_squares_are_marked_and_no_row_is_dropped() -> None:
    engine = Engine("none")
    face = astronaut()[50:200, 150:300]
    views = [face[y : y + 130, x : x + 130] for y in range(0, 20, 4) for x in range(0, 20, 4)]
    sharp, rows = share_uncertain(engine, views)
    assert rows == len(views)
    for pictures in (tiny(views, 4), squares(30)):
        marked, rows = share_uncertain(engine, pictures)
        assert rows == len(pictures)
        assert marked > max(0.5, sharp)


def test_drawings_are_marked() -> None:
    engine = Engine("none")
    for pictures, least in ((cartoons(40), 0.6), (heads(20), 0.9)):
        marked, rows = share_uncertain(engine, pictures)
        assert rows == len(pictures)
        assert marked >= least
