"""Clips made of labelled faces, whose expressions change at known times while they move.

The faces come from the LFW press photos and FER-2013's PublicTest and lie on frames of 640x360
pixels. There are three kinds of clips:

- ``morph``: one to three faces drift, grow, shrink and roll. Every two seconds each morphs to
  another photo: its five landmarks move, its pixels cross-fade.
- ``pan``: the camera pans along a row of five such faces.
- ``hold``: one to three faces that move but keep their expression, so that any change of a label is
  wrong.

Each frame has noise of its own and passes through JPEG. A clip depends on its kind and number
alone. Even numbers are for tuning, odd ones for reporting; the two halves share no photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.inputs import SHARED, Frame
from fastfer.engine import Engine
from fastfer.labels import EMOTIONS

Floats = NDArray[np.float64]

Kind = Literal["morph", "pan", "hold"]
KINDS: Final[tuple[Kind, ...]] = ("morph", "pan", "hold")

WIDTH: Final = 640
HEIGHT: Final = 360
FPS: Final = 25.0
SECONDS: Final = 10.0
PORTRAIT: Final = 96
"""Side of an aligned face in pixels; the face itself has half of it."""
MORPH: Final = 0.4
"""Seconds of a morph."""
HOLD: Final = (1.4, 2.6)
"""Seconds between two morphs."""
LFW: Final = SHARED / "data" / "wild" / "lfw_expressions_dev.npz"
FER2013: Final = SHARED / "data" / "fer2013" / "fer2013.csv.xz"
FACES_PER_SOURCE: Final = 700
"""Photos of each collection that are tried."""

_LAYOUT: Final = np.array([(0.385, 0.42), (0.615, 0.42), (0.5, 0.545), (0.41, 0.65), (0.59, 0.65)])
"""Landmarks of an aligned face, in sides of its portrait."""


class Portrait(NamedTuple):
    """A labelled face, aligned."""

    label: int
    recognised: bool
    """Whether the network gives it this label."""
    image: Frame
    """(PORTRAIT, PORTRAIT) gray."""
    landmarks: Floats
    """(5, 2) in pixels of the image."""


class Shown(NamedTuple):
    """A face in one frame of a made clip."""

    face: int
    """Number of the face in its clip."""
    centre: tuple[float, float]
    side: float
    label: int
    """Of the photo that makes up more than half of it."""


@dataclass(frozen=True)
class MadeClip:
    """A made clip and what it shows."""

    name: str
    frames: list[Frame]
    shown: list[list[Shown]]
    """For each frame."""
    midpoints: list[tuple[int, float, int]] = field(default_factory=list)
    """Number of the face, seconds, and label that begins there."""


def load_portraits(engine: Engine) -> list[Portrait]:
    """The faces that ``engine``'s detector finds."""
    found = []
    for image, label in _labelled_faces():
        canvas = _surround(image)
        faces = engine.analyze(canvas).faces
        if len(faces) != 1 or faces[0].landmarks is None or faces[0].detection_score < 0.7:
            continue
        landmarks = np.array(faces[0].landmarks)
        matrix = _similarity(landmarks, _LAYOUT * PORTRAIT)
        size = (PORTRAIT, PORTRAIT)
        aligned: Any = cv2.warpAffine(canvas[..., 0], matrix, size, flags=cv2.INTER_AREA)
        points = landmarks @ matrix[:, :2].T + matrix[:, 2]
        recognised = faces[0].emotion == EMOTIONS[label]
        found.append(Portrait(label, recognised, np.asarray(aligned), points))
    return found


def make_clip(portraits: Sequence[Portrait], kind: Kind, number: int) -> MadeClip:
    """One clip. Of faces that the network does not recognise no change of expression could be
    expected to show, so only ``hold`` has them."""
    usable = portraits if kind == "hold" else [p for p in portraits if p.recognised]
    return _make(usable[number % 2 :: 2], kind, number)


def _labelled_faces() -> list[tuple[Frame, int]]:
    from training.expression.bad_rows import BadRows
    from training.expression.fer2013_csv import read_csv

    with np.load(LFW) as f:
        faces = list(zip(f["images_full"], f["labels"].tolist(), strict=True))
    faces = faces[:FACES_PER_SOURCE]
    if Path(FER2013).exists():
        table = read_csv(FER2013, BadRows())
        which = np.flatnonzero(np.asarray(table["usage"]) == "PublicTest")[:FACES_PER_SOURCE]
        faces += [(table["images"][i], int(table["labels"][i])) for i in which]
    return faces


def _surround(image: Frame) -> Frame:
    """``image`` (48, 48), enlarged, before blurred surroundings: (320, 320, 3)."""
    face: Any = cv2.resize(image, (144, 144), interpolation=cv2.INTER_CUBIC)
    wide: Any = cv2.copyMakeBorder(face, 88, 88, 88, 88, cv2.BORDER_REPLICATE)
    blurred: Any = cv2.GaussianBlur(wide, (0, 0), 12)
    mask = np.zeros(wide.shape, np.float32)
    mask[92:-92, 92:-92] = 1
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 5))
    mixed = wide * mask + blurred * (1 - mask)
    return np.ascontiguousarray(np.repeat(mixed.astype(np.uint8)[..., None], 3, axis=2))


def _similarity(source: Floats, target: Floats) -> Floats:
    """(2, 3): the least-squares similarity from ``source`` to ``target``, both (N, 2)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    real = (a * b).sum() / (a * a).sum()
    imaginary = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / (a * a).sum()
    turn = np.array([[real, -imaginary], [imaginary, real]])
    return np.column_stack([turn, target.mean(axis=0) - turn @ source.mean(axis=0)])


def _affine(source: Floats, target: Floats) -> Floats:
    """(2, 3): the least-squares affine map from ``source`` to ``target``, both (N, 2)."""
    solution, *_ = np.linalg.lstsq(np.column_stack([source, np.ones(len(source))]), target)
    return np.asarray(solution.T)


def _morph(a: Portrait, b: Portrait, share: float) -> Frame:
    """A face of which ``share`` is ``b``."""
    if share <= 0:
        return a.image
    if share >= 1:
        return b.image
    points = a.landmarks + share * (b.landmarks - a.landmarks)
    size = (PORTRAIT, PORTRAIT)
    parts: list[Any] = [
        cv2.warpAffine(p.image, _affine(p.landmarks, points), size, borderMode=cv2.BORDER_REPLICATE)
        for p in (a, b)
    ]
    return np.asarray(cv2.addWeighted(parts[0], 1 - share, parts[1], share, 0))


class _Face:
    """One face through a clip."""

    def __init__(
        self, portraits: Sequence[Portrait], rng: np.random.Generator, *, changes: bool
    ) -> None:
        by_label: dict[int, list[Portrait]] = {}
        for portrait in portraits:
            by_label.setdefault(portrait.label, []).append(portrait)
        labels = list(by_label)
        self.portraits: list[Portrait] = []
        self.midpoints: list[float] = []
        seconds = float(rng.uniform(0.3, 1)) + 1.0
        label = -1
        while True:
            label = int(rng.choice([each for each in labels if each != label]))
            self.portraits.append(by_label[label][int(rng.integers(len(by_label[label])))])
            if not changes or seconds > SECONDS - 1.2:
                break
            self.midpoints.append(seconds)
            seconds += float(rng.uniform(*HOLD))
        self.side = float(rng.uniform(40, 110))
        self.phases = rng.uniform(0, 2 * np.pi, 6)
        self.rates = rng.uniform(0.1, 0.45, 6)
        self.sway = rng.uniform(0.05, 0.5, 2)
        self.zoom = float(rng.uniform(0.02, 0.25))
        self.roll = float(rng.choice([4, 12, 20]))

    def at(self, pts: float) -> tuple[Frame, int]:
        """Its picture and label."""
        for i, midpoint in enumerate(self.midpoints):
            share = (pts - midpoint) / MORPH + 0.5
            if share < 1:
                smooth = float(np.clip(share, 0, 1)) ** 2 * (3 - 2 * float(np.clip(share, 0, 1)))
                one, other = self.portraits[i : i + 2]
                return _morph(one, other, smooth), (other if share > 0.5 else one).label
        return self.portraits[-1].image, self.portraits[-1].label

    def pose(self, pts: float) -> tuple[float, float, float, float]:
        """Shift in sides, factor of its size, and roll in degrees."""
        x, y, zoom, roll, shake, jolt = np.sin(2 * np.pi * self.rates * pts + self.phases)
        return (
            float(self.sway[0] * x + 0.02 * shake),
            float(self.sway[1] * y * 0.5 + 0.02 * jolt),
            float(1 + self.zoom * zoom),
            float(self.roll * roll),
        )


def _make(portraits: Sequence[Portrait], kind: Kind, number: int) -> MadeClip:
    rng = np.random.default_rng([KINDS.index(kind), number])
    pan = kind == "pan"
    count = 5 if pan else int(rng.integers(1, 4))
    faces = [_Face(portraits, rng, changes=kind != "hold") for _ in range(count)]
    width = 1500 if pan else WIDTH
    ground = _ground(rng, width)
    sigma, quality = float(rng.uniform(1, 4)), int(rng.integers(60, 92))
    sweep = float(rng.uniform(0.04, 0.09))
    clip = MadeClip(f"{kind} {number}", [], [])
    for face_number, face in enumerate(faces):
        for midpoint, portrait in zip(face.midpoints, face.portraits[1:], strict=True):
            clip.midpoints.append((face_number, midpoint, portrait.label))
    for i in range(round(SECONDS * FPS)):
        pts = i / FPS
        canvas = ground.copy()
        left = round((width - WIDTH) * (0.5 - 0.5 * np.cos(2 * np.pi * sweep * pts * 2)))
        shown = []
        for k, face in enumerate(faces):
            picture, label = face.at(pts)
            dx, dy, zoom, roll = face.pose(pts)
            side = face.side * zoom
            centre = (
                width * (k + 0.5) / len(faces) + dx * face.side,
                HEIGHT / 2 + dy * face.side,
            )
            _paste(canvas, picture, centre, side, roll)
            shown.append(Shown(k, (centre[0] - left, centre[1]), side, label))
        view = canvas[:, left : left + WIDTH].astype(np.float32)
        view += sigma * rng.standard_normal(view.shape, np.float32)
        coded: Any = cv2.imencode(
            ".jpg", np.clip(view, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )[1]
        clip.frames.append(np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8))
        clip.shown.append(shown)
    return clip


def _ground(rng: np.random.Generator, width: int) -> Frame:
    """(HEIGHT, width): blurred shapes, some of them with edges."""
    coarse = rng.uniform(50, 190, (HEIGHT // 45, width // 45)).astype(np.float32)
    ground: Any = cv2.resize(coarse, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(width // 60):
        x, y = int(rng.integers(width)), int(rng.integers(HEIGHT))
        w, h = (int(v) for v in rng.integers(10, 90, 2))
        cv2.rectangle(ground, (x, y), (x + w, y + h), float(rng.uniform(30, 210)), -1)
    return np.asarray(np.clip(cv2.GaussianBlur(ground, (0, 0), 1.5), 0, 255), np.uint8)


def _paste(
    canvas: Frame, picture: Frame, centre: tuple[float, float], side: float, roll: float
) -> None:
    """Draw a portrait so that its face has ``side`` pixels, with soft edges."""
    half = int(side * 1.1) + 2
    left, top = round(centre[0]) - half, round(centre[1]) - half
    x0, y0 = max(0, left), max(0, top)
    region = canvas[y0 : max(0, top + 2 * half), x0 : max(0, left + 2 * half)]
    if not region.size:
        return
    matrix: Any = cv2.getRotationMatrix2D((PORTRAIT / 2, PORTRAIT / 2), -roll, 2 * side / PORTRAIT)
    matrix[:, 2] += np.array(centre) - PORTRAIT / 2 - (x0, y0)
    size = region.shape[1::-1]
    # Of a small face each pixel shows the mean of the picture under it.
    sharp: Any = cv2.GaussianBlur(picture, (0, 0), max(0.01, 0.4 * PORTRAIT / 2 / side - 0.3))
    placed: Any = cv2.warpAffine(sharp, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    mask: Any = cv2.warpAffine(_MASK, matrix, size)
    region[:] = (region * (1 - mask) + placed * mask).astype(np.uint8)


def _soft_ellipse() -> NDArray[np.float32]:
    mask = np.zeros((PORTRAIT, PORTRAIT), np.float32)
    centre = (PORTRAIT // 2, PORTRAIT // 2)
    cv2.ellipse(mask, centre, (round(PORTRAIT * 0.29), round(PORTRAIT * 0.36)), 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 2.5), np.float32)


_MASK: Final = _soft_ellipse()
