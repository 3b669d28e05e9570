"""Sound of sources that can be read only once; tests/cli/test_video_input.py checks whole files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import pytest

from fastfer.io.kept_sound import KeptSound
from tests.helpers.movies import levels, write_movie

CODECS = {
    "adpcm_ima_wav": "a.avi",
    "wmav2": "a.wmv",
    "pcm_s16le": "a.mov",
    "libmp3lame": "a.avi",
    "ac3": "a.ts",
    "flac": "a.mkv",
}


@pytest.mark.parametrize("codec", CODECS)
def test_all_is_known_after_the_source_is_closed(tmp_path: Path, codec: str) -> None:
    """Some decoders need more than the rate and the channels: the size of a block, the bit rate."""
    path = write_movie(tmp_path / CODECS[codec], levels(20), sound=2.0, sound_codec=codec)
    with av.open(str(path)) as source:
        kept = KeptSound.of(source)
        assert kept is not None
        kept.wanted = True
        assert sum(map(kept.offer, source.demux())) > 3
    decoded = [f.samples for p in kept for f in kept.stream.codec_context.decode(p)]
    assert sum(decoded) == pytest.approx(96000, abs=4096)


@pytest.mark.parametrize("codec", ["aac", "ac3", "flac", "pcm_s16le"])
def test_packets_can_be_copied(tmp_path: Path, codec: str) -> None:
    path = write_movie(tmp_path / "a.mkv", levels(20), sound=2.0, sound_codec=codec)
    with av.open(str(path)) as source:
        kept = KeptSound.of(source)
        assert kept is not None
        kept.wanted = True
        assert sum(map(kept.offer, source.demux())) > 3
    target = tmp_path / "b.mkv"
    with av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(kept.stream)
        for packet in kept:
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    with av.open(str(target)) as copied:
        samples = sum(frame.samples for frame in copied.decode(audio=0))
    assert samples == pytest.approx(96000, abs=4096)


def test_packets_come_as_the_reader_passes_them(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mkv", levels(20), sound=2.0)
    with av.open(str(path)) as source:
        kept = KeptSound.of(source)
        assert kept is not None
        packets: list[Any] = [p for p in source.demux(audio=0) if p.size]
        assert not kept.offer(packets[0])  # Not wanted yet.
        kept.wanted = True
        assert all(map(kept.offer, packets[:2]))
        assert list(kept) == packets[:2]
        assert list(kept) == []
        assert all(map(kept.offer, packets[2:4]))
        kept.clear()
        assert kept.offer(packets[4])
        assert list(kept) == packets[4:5]
