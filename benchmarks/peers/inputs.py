"""Photos, clips and labelled faces that all peers are measured on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import inputs as samples
from training.evaluate_detectors.labelled_photos import LabelledPhoto, read_labels
from training.expression.bad_rows import BadRows
from training.expression.fer2013_csv import read_csv

FPS = 25
CLIP = "face-demographics-walking-and-pause"
HEADS = {"fer2013": "fer2013", "press_box": "ferplus", "press_portrait": "ferplus"}
"""The output head of fastfer for each set of faces."""


@dataclass
class Inputs:
    """Files in a temporary folder, and what is known of them."""

    photos: list[Path]
    clip: Path
    warm_up: Path
    fps: int = FPS
    yunet: Path | None = None
    labelled: list[LabelledPhoto] = field(default_factory=list)
    faces: Path | None = None
    labels: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)
    """One sentence for each kind of input."""

    def options(self) -> dict[str, Any]:
        """What workers need, as JSON types."""
        return {
            "photos": [str(path) for path in self.photos],
            "clip": str(self.clip),
            "warm_up": str(self.warm_up),
            "yunet": str(self.yunet),
            "labelled": [str(photo.path) for photo in self.labelled],
            "faces": str(self.faces),
            "heads": HEADS,
        }


def collect(
    folder: Path,
    photos: Path,
    labelled: Path,
    fer2013: Path,
    press: Path,
    yunet: Path,
    seconds: int,
) -> Inputs:
    """The inputs that exist; each absent one is named on standard error."""
    files = sorted(photos.glob("*.jpg")) if photos.is_dir() else []
    if not files:
        _absent("photos", photos, "a portrait of scikit-image is measured")
        files = [folder / "portrait.jpg"]
        cv2.imwrite(str(files[0]), samples.astronaut())
    clips = samples.clips()
    name = CLIP if CLIP in clips else next(iter(clips))
    frames = samples.looped(clips[name], seconds * FPS)
    found = Inputs(
        files,
        _write_clip(folder / "clip.mp4", frames),
        _write_clip(folder / "warm-up.mp4", frames[:10]),
    )
    longest = sorted(max(np.asarray(cv2.imread(str(path))).shape) for path in files)
    found.described += [
        f"Photos: {len(files)} JPEG files, long side {longest[0]} to {longest[-1]} px.",
        f"Clip: {name.replace('-', ' ')}, {frames[0].shape[1]}x{frames[0].shape[0]}, "
        f"{len(frames)} frames of H.264 at {FPS} frames a second.",
    ]
    if yunet.is_file():
        found.yunet = yunet
    else:
        _absent("YuNet", yunet, "its loop is not measured")
    if (labelled / "labels.jsonl").is_file():
        found.labelled = read_labels(labelled)
        count = sum(len(photo.faces) for photo in found.labelled)
        found.described.append(
            f"Faces found: {len(found.labelled)} validation photos with {count} faces of 16 px and "
            "more; a box counts from an overlap (IoU) of 0.4."
        )
    else:
        _absent("labelled photos", labelled, "found faces are not counted")
    _add_faces(found, folder, fer2013, press)
    return found


def _add_faces(found: Inputs, folder: Path, fer2013: Path, press: Path) -> None:
    faces: dict[str, NDArray[np.uint8]] = {}
    if fer2013.is_file():
        table = read_csv(fer2013, BadRows())
        public = np.asarray(table["usage"]) == "PublicTest"
        faces["fer2013"] = np.asarray(table["images"])[public]
        found.labels["fer2013"] = np.asarray(table["labels"], np.int64)[public]
        found.described.append(f"FER-2013: PublicTest, {int(public.sum())} faces, its labels.")
    else:
        _absent("FER-2013", fer2013, "accuracy on it is not measured")
    if press.is_file():
        with np.load(press) as file:
            faces["press_box"], faces["press_portrait"] = file["images"], file["images_full"]
            labels = np.asarray(file["labels"], np.int64)
        found.labels |= {"press_box": labels, "press_portrait": labels}
        found.described.append(
            f"Press photos: {len(labels)} of LFW, cropped by YuNet / the whole portrait."
        )
    else:
        _absent("press photos", press, "accuracy on them is not measured")
    if faces:
        found.faces = folder / "faces.npz"
        np.savez(found.faces, **faces)  # type: ignore[arg-type]


def _absent(what: str, path: Path, effect: str) -> None:
    print(f"without {what}: {path} does not exist; {effect}", file=sys.stderr)


def _write_clip(path: Path, frames: Sequence[NDArray[np.uint8]]) -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(FPS))
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = (side & ~1 for side in frames[0].shape[:2])
        for frame in frames:
            picture = np.ascontiguousarray(frame[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    return path
