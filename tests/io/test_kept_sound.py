"""Sound that is kept while the picture is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fastfer.io.kept_sound import KeptSound
from tests.helpers.movies import levels, write_movie


@pytest.fixture
def source(tmp_path: Path) -> Any:
    with av.open(str(write_movie(tmp_path / "a.mkv", levels(5), sound=1.0))) as container:
        yield container


def test_packets_are_kept_from_the_start_on_and_once(source: Any) -> None:
    kept = KeptSound(source.streams.audio[0])
    packets = [packet for packet in source.demux() if packet.pts is not None]
    kept.offer(packets[0])
    assert list(kept) == []
    kept.start()
    for packet in packets:
        kept.offer(packet)
    sound = [packet for packet in packets if packet.stream.type == "audio"]
    assert 0 < len(sound) < len(packets)
    assert next(kept) is sound[0]
    assert list(kept) == sound[1:]
    assert next(kept, None) is None
    kept.offer(sound[0])  # The iterator goes on where the reader does.
    assert list(kept) == [sound[0]]
    kept.offer(sound[0])
    kept.clear()
    assert list(kept) == []


def test_the_decoder_outlives_the_source(source: Any) -> None:
    kept = KeptSound(source.streams.audio[0])
    kept.start()
    for packet in source.demux():
        kept.offer(packet)
    source.close()
    packets = [packet for packet in kept if packet.pts is not None]
    frames = [frame for packet in packets for frame in kept.codec_context.decode(packet)]
    seconds = sum(frame.samples / frame.sample_rate for frame in frames)
    assert seconds == pytest.approx(1.0, abs=0.1)
    assert max(float(np.abs(frame.to_ndarray()).max()) for frame in frames) > 0.01
