"""The plot of emotions over time."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.display.canvas import COLORS
from fastfer.display.timeline import MAX_BANDS, Geometry
from fastfer.errors import OutputError, UsageError
from fastfer.outputs.plot import MAX_BINS, PlotWriter
from tests.helpers.results import attributes, episode, frame, video_face, write_all


def view(plot: PlotWriter, track_id: int) -> list[tuple[float, float]]:
    """The intervals in which a person is drawn, in seconds."""
    plot.draw()
    known, step = plot._bands[track_id].bins, plot._step
    seen = sorted(at for at, sums in known.items() if sums[-1] >= step / 2)
    breaks = [0, *(i for i in range(1, len(seen)) if seen[i] > seen[i - 1] + 1), len(seen)]
    return [
        (round(seen[a] * step, 2), round((seen[b - 1] + 1) * step, 2))
        for a, b in itertools.pairwise(breaks)
    ]


def test_each_face_has_a_band_with_its_times(tmp_path: Path) -> None:
    write_all(PlotWriter(tmp_path / "plot.png"), episode())
    picture = cv2.imread(str(tmp_path / "plot.png"))
    assert picture is not None
    place = Geometry.of(2)
    first, second = place.row(0), place.row(1)
    colors = {e: (picture == COLORS[e]).all(axis=2) for e in ("happy", "sad", "angry")}
    happy, sad = (
        np.argwhere(colors[e][first.y : first.y + first.h, first.x :])[:, 1].mean()
        for e in ("happy", "sad")
    )
    assert happy < sad
    angry = colors["angry"][second.y : second.y + second.h, second.x :]
    assert angry.mean() > 0.2


def test_a_person_is_drawn_until_the_next_frame_without_them(tmp_path: Path) -> None:
    """Not half a second longer, and never across a cut."""
    plot = PlotWriter(tmp_path / "plot.png")
    for result in episode():
        plot.write(result)
    assert view(plot, 2) == [(0.5, 0.8), (1.1, 1.5)]
    assert view(plot, 1) == [(0.0, 2.5)]
    assert 3 not in plot._bands, "never confirmed"


def test_people_do_not_overlap_across_a_cut(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    for i in range(50):
        plot.write(frame(i, video_face(1 if i < 25 else 2), fps=12.5))
    assert view(plot, 1)[-1][1] == view(plot, 2)[0][0] == 2.0


def test_an_outage_is_a_gap(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    for pts in (5.0, 5.1, 5.2, 5.3, 65.0, 65.1):
        plot.write(replace(frame(0, video_face()), pts=pts))
    (_, left), (back, _) = view(plot, 1)
    assert left == pytest.approx(1.3, abs=0.1)
    assert back == pytest.approx(60, abs=0.1)


def test_a_time_lapse_has_no_gaps(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    for i in range(20):
        plot.write(frame(i, video_face(), fps=0.2))
    assert view(plot, 1) == [(0.0, pytest.approx(100, abs=0.2))]


def test_thumbnails_show_the_best_view_of_each_person(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    image = np.full((240, 320, 3), 10, np.uint8)
    image[100:160, 200:260] = 90
    plot.write(frame(0, video_face(1, box=(10, 10, 20, 20))), image)
    plot.write(frame(1, video_face(1, box=(200, 100, 60, 60)), video_face(2, None)), image)
    plot.write(frame(2, video_face(1, box=(10, 10, 62, 62))), image)
    thumbnail = plot._bands[1].thumbnail
    assert thumbnail is not None
    assert thumbnail.mean() > 60, "the large one, not replaced by one that is hardly larger"
    assert 2 not in plot._bands, "low quality"


def test_pictures_are_converted_only_for_better_thumbnails(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    image = np.zeros((240, 320, 3), np.uint8)
    wanted = []
    for i, side in enumerate((40, 41, 44, 60, 60, 20)):
        result = frame(i, video_face(1, box=(10, 10, side, side)))
        wanted.append(plot.wants_image(result))
        plot.write(result, image if wanted[-1] else None)
    assert wanted == [True, False, False, True, False, False]
    assert not plot.wants_image(frame(9, video_face(2, confirmed=False)))
    assert not PlotWriter(tmp_path / "b.png", thumbnails=False).wants_image(result)


@pytest.mark.parametrize("box", [(-30, -30, 60, 60), (290, 200, 60, 60), (0, 0, 320, 240)])
def test_thumbnails_of_faces_at_the_edge(
    tmp_path: Path, box: tuple[float, float, float, float]
) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    plot.write(frame(0, video_face(1, box=box)), np.zeros((240, 320), np.uint8))
    thumbnail = plot._bands[1].thumbnail
    assert thumbnail is not None
    assert thumbnail.shape == (96, 96, 3)


def test_thumbnails_can_be_omitted(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png", thumbnails=False)
    plot.write(frame(0, video_face(1)), np.zeros((240, 320, 3), np.uint8))
    plot.draw()
    assert plot._bands[1].thumbnail is None


def test_the_people_longest_in_view_are_drawn(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    for i in range(60):
        faces = [video_face(k) for k in range(1, 46) if i < k + 5]
        plot.write(frame(i, *faces))
    assert plot.draw().shape[0] == Geometry.of(MAX_BANDS).height


def test_memory_is_bounded(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    for i in range(4000):
        plot.write(frame(i, video_face(), fps=5))
    assert all(len(band.bins) <= MAX_BINS for band in plot._bands.values())
    assert view(plot, 1) == [(0.0, pytest.approx(800, abs=1))]


def test_a_plot_without_faces(tmp_path: Path) -> None:
    assert PlotWriter(tmp_path / "a.png").draw().shape[1] == 1200


def test_an_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        PlotWriter(tmp_path / "a.txt")
    assert caught.value.code == "unsupported_format"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        PlotWriter(tmp_path / "no" / "plot.png").close()
    assert caught.value.code == "output_failed"


def test_people_keep_their_last_attributes(tmp_path: Path) -> None:
    plot = PlotWriter(tmp_path / "plot.png")
    known = attributes("male", "40-49")
    plot.write(frame(0, video_face(1, attributes=known), video_face(2)))
    plot.write(frame(1, video_face(1), video_face(2)))
    plot.draw()
    assert {t: band.attributes for t, band in plot._bands.items()} == {1: known, 2: None}
