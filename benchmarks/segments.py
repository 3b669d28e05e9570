"""Agreement of a film analysed in segments with the same film in one piece.

    python -m benchmarks.segments CLIP [CLIP ...] [--seconds 180] [--segment 20]

Joins the clips one after the other, again and again, to a film of so many seconds.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

from fastfer import batch, iou
from fastfer.batch.job import JobOptions
from fastfer.cli.arguments import CommandParser
from fastfer.io.open_source import open_source
from fastfer.labels import EMOTIONS

SIZE = (480, 270)


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.segments", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("clips", nargs="+", metavar="CLIP")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--segment", type=float, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder, "film.mp4")
        write_film(args.clips, film, args.seconds)
        tables = {}
        for segment in (0.0, args.segment):
            out = Path(folder, f"{segment}.parquet")
            batch.run([str(film)], str(out), options=JobOptions(jobs=2, segment=segment))
            tables[segment] = frames(out)
        report(tables[0.0], tables[args.segment])


def write_film(clips: list[str], path: Path, seconds: float) -> None:
    """Write the clips, again and again, as one video of 12.5 frames per second."""
    pictures = []
    for clip in clips:
        source = open_source(clip)
        pictures += [cv2.resize(frame.image, SIZE) for frame in source]
        source.close()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12.5, SIZE)
    for i in range(round(12.5 * seconds)):
        writer.write(pictures[i % len(pictures)])
    writer.release()


def frames(table: Path) -> dict[int, list[dict[str, Any]]]:
    """The faces of each frame."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in pq.read_table(table).to_pylist():
        found[row["frame_index"]] += [row] if row["face_index"] is not None else []
    return found


def report(whole: dict[int, list[dict[str, Any]]], split: dict[int, list[dict[str, Any]]]) -> None:
    """Print the agreement."""
    faces = sum(map(len, whole.values()))
    others = sum(map(len, split.values()))
    same, equal = 0, 0
    differences: list[float] = []
    tracks: dict[int, Counter[int]] = defaultdict(Counter)
    for index, rows in whole.items():
        found = split[index]
        if not rows or not found:
            continue
        overlaps = iou(boxes(rows), boxes(found))
        for i, row in enumerate(rows):
            j = int(overlaps[i].argmax())
            if overlaps[i, j] < 0.5:
                continue
            same += 1
            equal += row["emotion"] == found[j]["emotion"]
            differences.append(max(abs(row[name] - found[j][name]) for name in EMOTIONS))
            tracks[row["track_id"]][found[j]["track_id"]] += 1
    kept = sum(counter.most_common(1)[0][1] for counter in tracks.values())
    numbers = len({row["track_id"] for rows in whole.values() for row in rows})
    others_numbers = len({row["track_id"] for rows in split.values() for row in rows})
    print(f"frames: {len(whole)} and {len(split)}, the same numbers: {set(whole) == set(split)}")
    print(
        f"faces: {faces} in one piece, {others} in segments; "
        f"{100 * same / faces:.2f} % in the same place"
    )
    print(
        f"emotion equal: {100 * equal / same:.2f} %; "
        f"probabilities differ by {np.mean(differences):.4f}"
    )
    print(
        f"tracks: {numbers} and {others_numbers}; "
        f"{100 * kept / same:.2f} % of faces keep their track"
    )


def boxes(rows: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    """(N, 4)."""
    return np.array(
        [[row[f"box_{name}"] for name in ("x", "y", "width", "height")] for row in rows]
    )


if __name__ == "__main__":
    main()
