"""Random square tiles of photos: cropped, scaled, mirrored, rotated and distorted.

Most faces are small in their photos or fill them. A tile is therefore cropped around a face, or a
false alarm, at a size drawn evenly on a log scale from ten pixels to the whole tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.errors import UsageError
from training.detector.photos import FaceRegions, Floats, Photo

Pixels = NDArray[np.uint8]
MIRRORED = [1, 0, 2, 4, 3]
"""Order of the landmarks of a mirrored face."""
VISIBLE = 0.6
"""Share of a box that must lie inside the tile; faces with less are ignored."""
SMALLEST, LARGEST = 10.0, 0.9
"""Side of the face that a tile is cropped around: pixels, and share of the tile."""


def _chance(default: float, help: str, largest: float = 1.0) -> Any:
    return field(default=default, metadata={"help": help, "largest": largest})


@dataclass(frozen=True)
class TileAugmentation:
    """Chances and ranges of the random changes of a tile.

    Raises:
        UsageError: a number is out of its range.
    """

    flip: float = _chance(0.5, "chance of a mirrored tile")
    mosaic: float = _chance(0.4, "chance of a tile made of four")
    aimed: float = _chance(0.75, "chance that a tile is cropped around a face or a false alarm")
    shrink: float = _chance(0.3, "smallest scale of a photo")
    grow: float = _chance(3.0, "largest scale of a photo", 10)
    rotate: float = _chance(0.3, "chance of a rotated tile")
    angle: float = _chance(25.0, "largest rotation in degrees", 45)
    light: float = _chance(0.8, "chance of other brightness, contrast and gamma")
    dark: float = _chance(0.0, "chance of an underexposed tile, at 0.15 to 0.6 of its brightness")
    blur: float = _chance(0.2, "chance of blur")
    noise: float = _chance(0.15, "chance of noise")
    jpeg: float = _chance(0.25, "chance of JPEG compression, quality 20 to 80")
    occlude: float = _chance(0.15, "chance that a face of 16 pixels or more is partly occluded")

    def __post_init__(self) -> None:
        for f in fields(self):
            if not 0 <= getattr(self, f.name) <= f.metadata["largest"]:
                raise UsageError(
                    f"--{f.name} must lie between 0 and {f.metadata['largest']}; "
                    f"got {getattr(self, f.name)}"
                )
        if not 0 < self.shrink <= self.grow:
            raise UsageError(f"--shrink {self.shrink} must be above 0, at most --grow {self.grow}")


def draw(
    photos: Sequence[Photo],
    first: int,
    side: int,
    augmentation: TileAugmentation,
    rng: np.random.Generator,
) -> tuple[Pixels, FaceRegions]:
    """A tile (side, side, channels) of photo number ``first``; a mosaic also shows other photos."""
    if rng.random() < augmentation.mosaic:
        pixels, known = _mosaic(photos, first, side, augmentation, rng)
    else:
        pixels, known = cut(photos[first], (side, side), augmentation, rng)
    if rng.random() < augmentation.flip:
        pixels, known = mirror(pixels, known)
    pixels = _occlude(np.ascontiguousarray(pixels), known, augmentation.occlude, rng)
    return distort(pixels, augmentation, rng), known


def fit(photo: Photo, side: int) -> tuple[Pixels, FaceRegions]:
    """The whole photo in the upper left corner of a tile, padded with black; never enlarged."""
    height, width, channels = photo.pixels.shape
    scale = min(side / max(height, width), 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    out = np.zeros((side, side, channels), np.uint8)
    small: Any = cv2.resize(photo.pixels, size, interpolation=cv2.INTER_AREA)
    out[: size[1], : size[0]] = small.reshape(size[1], size[0], channels)
    return out, photo.known.moved(scale, 0, 0)


def cut(
    photo: Photo, size: tuple[int, int], augmentation: TileAugmentation, rng: np.random.Generator
) -> tuple[Pixels, FaceRegions]:
    """A random crop of a photo at a random scale; ``size`` is its width and height."""
    height, width = photo.pixels.shape[:2]
    whole = min(size[0] / width, size[1] / height)
    low, high = max(augmentation.shrink, 0.5 * whole), min(augmentation.grow, 3 * whole)
    targets = np.concatenate([photo.known.boxes, photo.known.false_hits])
    if len(targets) and rng.random() < augmentation.aimed:
        x, y, w, h = targets[rng.integers(len(targets))].tolist()
        wanted = math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST * min(size))))
        scale = min(max(wanted / math.sqrt(w * h), low), augmentation.grow)
        # The face lies anywhere in the tile, entirely inside if it fits.
        spare = [max(s - scale * v, 0) for s, v in zip(size, (w, h), strict=True)]
        left, top = (
            scale * at - rng.uniform(0, more) for at, more in zip((x, y), spare, strict=True)
        )
    else:
        scale = math.exp(rng.uniform(math.log(low), math.log(max(low, high))))
        ranges = [(scale * v - s) for v, s in zip((width, height), size, strict=True)]
        left, top = (rng.uniform(min(v, 0), max(v, 0)) for v in ranges)
    angle = (
        rng.uniform(-augmentation.angle, augmentation.angle)
        if rng.random() < augmentation.rotate
        else 0.0
    )
    fill = int(rng.choice([0, int(rng.integers(0, 256))]))
    matrix = np.array([[scale, 0, -left], [0, scale, -top]], np.float64)
    if angle:
        rotation: Any = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), angle, 1)
        matrix = rotation[:, :2] @ matrix
        matrix[:, 2] += rotation[:, 2]
    out = _warped(photo.pixels, matrix, scale, size, fill)
    return out, _drop_invisible(_transform(photo.known, matrix, scale), size)


def vary(
    photo: Photo, longest: int, augmentation: TileAugmentation, rng: np.random.Generator
) -> tuple[Pixels, FaceRegions]:
    """The whole photo at a random scale, with a long side of at most ``longest``, perhaps rotated;
    distorted."""
    height, width = photo.pixels.shape[:2]
    scale = math.exp(rng.uniform(math.log(augmentation.shrink), math.log(augmentation.grow)))
    scale = min(scale, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    angle = 0.0
    if rng.random() < augmentation.rotate:
        angle = rng.uniform(-augmentation.angle, augmentation.angle)
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale), np.float64)
    matrix[:, 2] += np.array([size[0] - width, size[1] - height]) / 2
    pixels = _warped(photo.pixels, matrix, scale, size, 0)
    known = _drop_invisible(_transform(photo.known, matrix, scale), size)
    return distort(pixels, augmentation, rng), known


def mirror(pixels: Pixels, known: FaceRegions) -> tuple[Pixels, FaceRegions]:
    """The tile and its labels mirrored left to right."""
    width = np.float32(pixels.shape[1])

    def boxes(old: Floats) -> Floats:
        new = old.copy()
        new[:, 0] = width - old[:, 0] - old[:, 2]
        return new

    points = known.landmarks[:, MIRRORED].copy()
    points[..., 0] = width - points[..., 0]
    return pixels[:, ::-1], FaceRegions(
        boxes(known.boxes), points, boxes(known.ignore), boxes(known.false_hits)
    )


def distort(pixels: Pixels, augmentation: TileAugmentation, rng: np.random.Generator) -> Pixels:
    """Random brightness, blur, noise and compression, which leave the labels as they are."""
    shape = pixels.shape
    out: Any = pixels
    if rng.random() < augmentation.light:
        ramp = np.arange(256, dtype=np.float32) / 255
        tables = []
        gamma, gain, offset = rng.uniform(0.7, 1.4), rng.uniform(0.7, 1.3), rng.uniform(-0.12, 0.12)
        for _ in range(shape[2]):
            own = gain * (rng.uniform(0.9, 1.1) if shape[2] > 1 else 1)
            tables.append((ramp**gamma - 0.5) * own + 0.5 + offset)
        table = np.clip(np.stack(tables, axis=1) * 255, 0, 255).astype(np.uint8)
        out = cv2.LUT(out, table[:, 0] if shape[2] == 1 else table.reshape(256, 1, 3))
    if augmentation.dark and rng.random() < augmentation.dark:
        # Before the noise, which dark pictures show most.
        out = cv2.convertScaleAbs(out, alpha=rng.uniform(0.15, 0.6))
    if rng.random() < augmentation.blur:
        if rng.random() < 0.5:
            out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 2.0))
        else:
            length = int(rng.integers(2, 8))
            kernel = (1, length) if rng.random() < 0.5 else (length, 1)
            out = cv2.blur(out, kernel)
    if rng.random() < augmentation.noise:
        spread = rng.uniform(2, 14)
        rough = rng.standard_normal(shape, np.float32) * np.float32(spread)
        out = np.clip(out.reshape(shape) + rough, 0, 255).astype(np.uint8)
    if rng.random() < augmentation.jpeg:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 81))]
        _, data = cv2.imencode(".jpg", out, quality)
        mode = cv2.IMREAD_GRAYSCALE if shape[2] == 1 else cv2.IMREAD_COLOR
        out = cv2.imdecode(data, mode)
    return np.asarray(out, np.uint8).reshape(shape)


def _mosaic(
    photos: Sequence[Photo],
    first: int,
    side: int,
    augmentation: TileAugmentation,
    rng: np.random.Generator,
) -> tuple[Pixels, FaceRegions]:
    across, down = (int(v) for v in rng.integers(side * 3 // 10, side * 7 // 10, 2))
    out = np.empty((side, side, photos[first].pixels.shape[2]), np.uint8)
    chosen = [first, *rng.integers(len(photos), size=3)]
    parts = []
    corners = [(0, 0), (across, 0), (0, down), (across, down)]
    for number, (x, y) in zip(rng.permutation(chosen), corners, strict=True):
        size = (side - across if x else across), (side - down if y else down)
        piece, known = cut(photos[number], size, augmentation, rng)
        out[y : y + size[1], x : x + size[0]] = piece
        parts.append(known.moved(1, x, y))
    return out, FaceRegions.joined(parts)


def _warped(
    pixels: Pixels, matrix: NDArray[np.float64], scale: float, size: tuple[int, int], fill: int
) -> Pixels:
    """``pixels`` after the affine ``matrix``, which scales by ``scale``, in a picture of ``size``,
    width and height."""
    height, width, channels = pixels.shape
    before = 1.0
    if scale < 0.75:
        # Area averaging as at inference; the warp then only shifts and rotates.
        before = scale
        small = max(1, round(width * scale)), max(1, round(height * scale))
        reduced: Any = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(reduced)
    to_tile = matrix.copy()
    to_tile[:, :2] /= before
    # Pixel i covers i to i + 1, while the warp counts from the pixels' middles.
    to_tile[:, 2] += to_tile[:, :2].sum(axis=1) * 0.5 - 0.5
    warped: Any = cv2.warpAffine(
        pixels, to_tile, size, flags=cv2.INTER_LINEAR, borderValue=(fill,) * 3
    )
    return np.asarray(warped).reshape(size[1], size[0], channels)


def _transform(known: FaceRegions, matrix: NDArray[np.float64], scale: float) -> FaceRegions:
    """``known`` after the affine ``matrix``; boxes move with their centre and stay upright."""

    def boxes(old: Floats) -> Floats:
        size = old[:, 2:] * scale
        middle = (old[:, :2] + old[:, 2:] / 2) @ matrix[:, :2].T + matrix[:, 2]
        return np.concatenate([middle - size / 2, size], axis=1).astype(np.float32)

    points = (known.landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return FaceRegions(boxes(known.boxes), points, boxes(known.ignore), boxes(known.false_hits))


def _drop_invisible(known: FaceRegions, size: tuple[int, int]) -> FaceRegions:
    """Drop labels outside the tile, and ignore faces that are mostly outside."""

    def inside(boxes: Floats) -> Floats:
        low = np.clip(boxes[:, :2], 0, size)
        high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, size)
        areas = np.maximum(np.prod(boxes[:, 2:], axis=1), 1e-6)
        return np.asarray(np.prod(high - low, axis=1) / areas)

    seen = inside(known.boxes)
    whole, part = seen >= VISIBLE, (seen > 0.05) & (seen < VISIBLE)
    ignore = np.concatenate([known.ignore[inside(known.ignore) > 0], known.boxes[part]])
    false_hits = known.false_hits[inside(known.false_hits) >= VISIBLE]
    return FaceRegions(known.boxes[whole], known.landmarks[whole], ignore, false_hits)


def _occlude(pixels: Pixels, known: FaceRegions, chance: float, rng: np.random.Generator) -> Pixels:
    """Cover up to a third of some faces with one value or with noise."""
    side_x, side_y = pixels.shape[1], pixels.shape[0]
    for x, y, w, h in known.boxes:
        if min(w, h) < 16 or rng.random() >= chance:
            continue
        wide, high = rng.uniform(0.3, 1.0) * w, rng.uniform(0.15, 0.35) * h
        left = x + rng.uniform(0, w - wide)
        # Masks and scarves make occlusion of the lower half the more common one.
        top = y + (rng.uniform(0.5, 0.75) if rng.random() < 0.6 else rng.uniform(0, 0.6)) * h
        x0, x1 = (int(np.clip(v, 0, side_x)) for v in (left, left + wide))
        y0, y1 = (int(np.clip(v, 0, side_y)) for v in (top, top + high))
        part = pixels[y0:y1, x0:x1]
        if rng.random() < 0.5:
            part[:] = rng.integers(0, 256, pixels.shape[2])
        else:
            part[:] = rng.integers(0, 256, part.shape)
    return pixels
