"""The sound of annotated copies; tests/outputs/test_annotated_video.py checks it in whole files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import av
import pytest

from fastfer.io.open_source import open_source
from fastfer.outputs.sound import Sound
from tests.helpers.movies import levels, write_movie


@pytest.mark.parametrize(("copied", "codec"), [(("aac",), "aac"), ((), "aac"), ((), "libopus")])
def test_sound_up_to_a_time(tmp_path: Path, copied: tuple[str, ...], codec: str) -> None:
    source: Any = open_source(write_movie(tmp_path / "a.mp4", levels(20), sound=2.0))
    with av.open(str(tmp_path / "b.mkv"), "w") as container:
        sound = Sound(source.media, container, frozenset(copied), codec)
        container.start_encoding()
        first = list(sound.until(1.0))
        assert max(float(p.pts * p.time_base) for p in first) <= 1.0
        second = list(sound.rest())
        sound.close()
    times = [float(p.pts * p.time_base) for p in first + second]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(2.0, abs=0.1)
    source.close()


def test_a_source_without_sound(tmp_path: Path) -> None:
    source: Any = open_source(write_movie(tmp_path / "a.mp4", levels(3)))
    with av.open(str(tmp_path / "b.mkv"), "w") as container:
        sound = Sound(source.media, container, frozenset(), "aac")
        assert list(sound.until(math.inf)) == list(sound.rest()) == []
        container.add_stream("libx264", rate=10)
    source.close()
