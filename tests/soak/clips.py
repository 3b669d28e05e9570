"""Clips for long measurements."""

from __future__ import annotations

from pathlib import Path

import av
import cv2

from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.movies import write_movie


def short_clip(path: Path, frames: int = 300, side: int = 288) -> Path:
    """A face that moves, with a cut in the middle, at 30 frames per second and with sound."""
    images = moving_face(frames // 2) + empty_scene(12) + moving_face(frames - frames // 2 - 12)
    images = [cv2.resize(image, (side, side)) for image in images]  # type: ignore[misc]
    times = [i / 30 for i in range(len(images))]
    return write_movie(path, images, times=times, fps=30, sound=frames / 30)


def repeated(clip: Path, path: Path, times: int) -> Path:
    """``clip`` played ``times`` times, without encoding it again."""
    with av.open(str(path), "w") as target:
        stream = None
        for i in range(times):
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(video)
                length = round((video.frames or 0) / 30 / video.time_base)
                for packet in source.demux(video):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts += i * length
                        packet.dts += i * length
                        packet.stream = stream
                        target.mux(packet)
    return path
