"""What all receivers have in common."""

from __future__ import annotations

from fastfer.outputs.sinks.base import Sink
from fastfer.results import VideoFrameResult


class Broken(Sink):
    """Fails for two reasons."""

    name = "broken"

    def _take(self, result: VideoFrameResult, now: float) -> None:
        raise OSError("full" if result.frame_index % 2 else "away")


def test_a_problem_is_said_once_not_for_every_frame(said: list[str]) -> None:
    sink = Broken("all", 1000, said.append)
    sink.start()
    for i in range(200):
        sink.put(VideoFrameResult((), 64, 48, source="a", frame_index=i, pts=i / 10), 0.0)
    sink.close()
    assert (sink.dropped, sink.sent, sink.waiting) == (200, 0, 0)
    assert [line.partition(";")[0] for line in said] == ["broken: away", "broken: full"]
