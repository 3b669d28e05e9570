"""Photos in bulk: decode as little as the result needs, classify the faces of many together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastfer.crops import drop_uncroppable
from fastfer.detections import Detections
from fastfer.detectors import CoarseToFineDetector
from fastfer.errors import BoxError, FastferError, InputError
from fastfer.face_reader import PackedFaces
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.photos import as_input_error
from fastfer.results import FrameResult

if TYPE_CHECKING:
    from fastfer.engine import Engine

Frame = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DecodedPhoto:
    """A photo on its way to the engine: ``frame``, in colour or gray, or ``reduced`` is set."""

    image: EncodedImage
    frame: Frame | None = None
    reduced: Frame | None = None
    """A copy of a large JPEG at reduced size."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo."""
        if self.frame is not None:
            return self.frame.shape[1], self.frame.shape[0]
        header = self.image.header
        size = header.width, header.height
        return size[::-1] if header.orientation >= 5 else size

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        pixels = self.frame if self.frame is not None else self.reduced
        return len(self.image.data) + (0 if pixels is None else pixels.nbytes)


class PhotoAnalyzer:
    """Analyses photos in batches. Decoding and analysis may run in two threads."""

    def __init__(self, engine: Engine, *, exact: bool = False) -> None:
        """Use ``engine``.

        Args:
            engine: loaded models.
            exact: decode all photos in colour, as ``fastfer image`` does. Otherwise large JPEGs
                are decoded in gray if the networks take gray pictures, in half of the time.
        """
        self._engine = engine
        self._detector = engine.detector
        self._reader = engine.reader
        channels = engine.classifier.contract.channels
        self._gray = engine.detects_in_gray and channels == 1 and not exact

    def decode(self, image: EncodedImage) -> DecodedPhoto:
        """Decode what detection needs.

        Raises:
            InputError: the photo cannot be decoded.
        """
        gray = image.decode_gray() if self._gray else None
        if gray is not None:
            return DecodedPhoto(image, frame=gray)
        factor = image.reduction(self._engine.detection_size)
        in_gray = self._engine.detects_in_gray
        reduced = image.decode_reduced(factor, gray=in_gray) if factor > 1 else None
        if reduced is None:
            return DecodedPhoto(image, frame=image.decode())
        return DecodedPhoto(image, reduced=reduced)

    def analyze(self, photos: Sequence[DecodedPhoto]) -> list[FrameResult | InputError]:
        """The results of ``photos``, whose faces are classified in one batch.

        A photo that cannot be analysed has an error in place of a result, and does not affect the
        others.
        """
        packed: list[tuple[Detections, PackedFaces] | InputError] = []
        for photo in photos:
            try:
                packed.append(self._pack(photo))
            except (BoxError, InputError) as error:
                packed.append(as_input_error(photo.image.name, error))
            except FastferError:  # Of the model, say.
                raise
            except Exception as error:  # Of a user's detector, say.
                packed.append(as_input_error(photo.image.name, error))
        good = [item for item in packed if not isinstance(item, InputError)]
        tiles = [faces.tiles for _, faces in good]
        batch = np.concatenate(tiles) if tiles else self._reader.classifier.batch(0)
        probabilities, likeness = self._reader.classify(batch)
        attributes = self._reader.estimate_attributes([faces for _, faces in good])
        results: list[FrameResult | InputError] = []
        start = 0
        for photo, item in zip(photos, packed, strict=True):
            if isinstance(item, InputError):
                results.append(item)
                continue
            found, faces = item
            rows = slice(start, start + len(found))
            start += len(found)
            width, height = photo.size
            results.append(
                FrameResult(
                    faces=self._reader.faces(
                        found.boxes,
                        found.scores,
                        found.landmarks,
                        probabilities[rows],
                        faces.quality(),
                        likeness=None if likeness is None else likeness[rows],
                        attributes=None if attributes is None else attributes[rows],
                    ),
                    width=width,
                    height=height,
                    detector=self._detector.name,
                )
            )
        return results

    def _pack(self, photo: DecodedPhoto) -> tuple[Detections, PackedFaces]:
        """The croppable faces of a photo, and their tiles."""
        if photo.frame is not None:
            found = self._croppable(self._detector.detect(photo.frame), photo.size)
            return found, self._reader.pack(photo.frame, found)
        assert photo.reduced is not None
        found, frame = self._search(photo, photo.reduced)
        found = self._croppable(found, photo.size)
        if frame is None:
            # Of a photo without faces the copy is enough.
            frame = photo.image.decode() if len(found) else photo.reduced
        return found, self._reader.pack(frame, found)

    def _search(self, photo: DecodedPhoto, reduced: Frame) -> tuple[Detections, Frame | None]:
        """The faces of a photo in its pixels, and the whole photo if the search needed it."""
        width, height = photo.size
        detector = self._detector
        if not isinstance(detector, CoarseToFineDetector):
            found = detector.detect(reduced)
            return found.scaled(width / reduced.shape[1], height / reduced.shape[0]), None
        state: Any = detector.begin(reduced, max(width, height))
        faces: Detections | None = getattr(state, "faces", None)
        if faces is not None:  # The search ended in the copy.
            return faces.scaled(width, height), None
        frame = photo.image.decode()
        return detector.finish(frame, state), frame

    def _croppable(self, found: Detections, size: tuple[int, int]) -> Detections:
        return drop_uncroppable(found, self._detector.crop_calibration, size)
