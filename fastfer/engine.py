"""From a frame to labelled faces: detect, pack, classify."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.base import Classifier
from fastfer.classifiers.opening import open_classifier
from fastfer.crops import drop_uncroppable, quality_scores, roll_angles
from fastfer.detectors import Detections, Detector, create_detector
from fastfer.errors import UsageError
from fastfer.inference.onnx_session import pick_threads
from fastfer.io.encoded_image import MAX_PIXELS, EncodedImage
from fastfer.kernels.pack import check_frame
from fastfer.labels import EMOTIONS
from fastfer.results import Face, FrameResult
from fastfer.validation import check_range, check_unit_interval

if TYPE_CHECKING:
    from fastfer.classifiers.contract import Head
    from fastfer.classifiers.custom import ModelSpec

Frame = NDArray[np.uint8]
T = TypeVar("T")


class Engine:
    """A detector and a network, ready for any number of frames, from any number of threads."""

    def __init__(
        self,
        detector: str | Detector = "auto",
        model: str | os.PathLike[str] | Classifier | None = None,
        *,
        spec: ModelSpec | None = None,
        head: Head | None = None,
        threads: int | None = None,
        min_face: float = 0.0,
        detect_size: int | None = None,
        min_quality: float = 0.0,
        load_in_background: bool = False,
    ) -> None:
        """Load what is needed.

        Args:
            detector: name of a detector, a file, either with options (see
                :func:`~fastfer.detectors.create_detector`), or one that was made before. ``"auto"``
                takes the bundled network.
            model: path of a network, or a classifier that was made before; ``None`` takes the
                bundled one.
            spec: what the file of a network that was not made for fastfer does not say.
            head: output of a model with two, see
                :class:`~fastfer.classifiers.native.EmotionClassifier`.
            threads: for the network, see there, and for that of a detector
                that is asked for by name, unless its options say otherwise.
            min_face: side in pixels of the smallest face to report; 0 leaves it to the detector.
            detect_size: long side of the picture that the detector searches, in pixels; ``None``
                leaves it to the detector. Crops are always cut from the frame itself.
            min_quality: faces whose :attr:`~fastfer.results.Face.quality` is lower are marked
                ``low_quality``, 0 to 1.
            load_in_background: load the network in the background, while the first frame is read and searched.
                Its errors then come from the first use.

        Raises:
            ModelError: the network cannot be used (unless ``load_in_background``).
            UsageError: an unknown detector, a value of another kind or out of its range, or an
                option that does not go with an object given.
        """
        # Before anything loads, be it in the background, where an error would wait to be found.
        check_unit_interval(min_quality=min_quality)
        check_range(min_face=(min_face, 0))
        pick_threads(threads)
        if not isinstance(detector, (str, Detector)):
            raise UsageError(
                "detector must be a name or a file as a text, or an object with name, crop_calibration and "
                f"detect(); got {detector!r}."
            )
        self._classifier = self._provide(model, spec, head, threads, load_in_background)
        self.min_quality = min_quality
        size = {} if detect_size is None else {"detect_size": detect_size}
        if isinstance(detector, str):
            self.detector = create_detector(detector, threads=threads, min_face=min_face, **size)
        elif min_face or size:
            raise UsageError(
                "min_face and detect_size belong to the detector, which was given ready made."
            )
        else:
            self.detector = detector

    @staticmethod
    def _provide(
        model: str | os.PathLike[str] | Classifier | None,
        spec: ModelSpec | None,
        head: Head | None,
        threads: int | None,
        load_in_background: bool,
    ) -> Callable[[], Classifier]:
        if isinstance(model, Classifier):
            if threads is not None or head is not None:
                raise UsageError(
                    "threads and head belong to the classifier, which was given ready made."
                )
            classifier = model
        elif load_in_background:
            _keep_environment_in_place()
            return _in_background(
                "fastfer-load", lambda: open_classifier(model, threads, spec, head)
            )
        else:
            classifier = open_classifier(model, threads, spec, head)
        return lambda: classifier

    @property
    def classifier(self) -> Classifier:
        """The network; waits for it, and raises its :class:`ModelError`, after ``load_in_background``."""
        return self._classifier()

    @property
    def detection_size(self) -> int:
        """Long side in pixels of a copy of a larger picture that serves the detector as well as the
        picture; 0 where it must see all of it."""
        return getattr(self.detector, "detection_size", 0)

    def analyze(self, frame: Frame, *, reduced: Frame | None = None) -> FrameResult:
        """The faces of one frame and what their expressions read as.

        Args:
            frame: uint8, (H, W, 3) blue-green-red or (H, W) gray, upright. Rows may be any distance
                apart; the frame is not changed, nor kept.
            reduced: a smaller copy of it, to search for faces in; crops come from ``frame``.

        Raises:
            FrameError: another dtype, shape or memory layout.
            ModelError: the network cannot be used (only after ``load_in_background``).
        """
        if reduced is None:
            return self.analyze_batch([frame])[0]
        check_frame(frame)
        check_frame(reduced)
        clock = _Clock()
        found = _enlarged(self.detector.detect(reduced), reduced, frame)
        return self._read_faces([frame], [found], [{"detect": clock.lap()}], clock)[0]

    def analyze_batch(self, frames: Sequence[Frame]) -> list[FrameResult]:
        """As :meth:`analyze`, for several frames; all their faces go to the network at once.

        ``timings_ms`` of a frame has its share of the common classification, by number of faces.
        """
        for frame in frames:
            check_frame(frame)
        clock = _Clock()
        found: list[Detections] = []
        timings: list[dict[str, float]] = []
        for frame in frames:
            found.append(self.detector.detect(frame))
            timings.append({"detect": clock.lap()})
        return self._read_faces(frames, found, timings, clock)

    def analyze_encoded(
        self, image: EncodedImage, *, max_pixels: int = MAX_PIXELS
    ) -> tuple[FrameResult, Frame]:
        """As :meth:`analyze`, of a picture file in memory; also returns its pixels.

        In a large JPEG faces are searched in a reduced copy, while the whole is decoded in another
        thread. Crops come from the whole.

        Raises:
            InputError: it cannot be decoded.
            ModelError: the network cannot be used (only after ``load_in_background``).
        """
        clock = _Clock()
        factor = image.reduction(self.detection_size, max_pixels)
        if factor == 1:
            frame = image.decode(max_pixels)
            read = clock.lap()
            return self.analyze(frame).with_stage_time("read", read), frame
        whole = _in_background("fastfer-read", lambda: image.decode(max_pixels))
        copy = image.decode_reduced(factor)
        if copy is None:  # Most likely the whole cannot be decoded either, and says why.
            copy = whole()
        read = clock.lap()
        found = self.detector.detect(copy)
        timings = {"detect": clock.lap()}
        frame = whole()
        read += clock.lap()
        found = _enlarged(found, copy, frame)
        return self._read_faces([frame], [found], [timings], clock)[0].with_stage_time(
            "read", read
        ), frame

    def _read_faces(
        self,
        frames: Sequence[Frame],
        found: list[Detections],
        timings: list[dict[str, float]],
        clock: _Clock,
    ) -> list[FrameResult]:
        """Crop and classify what was found."""
        classifier = self.classifier
        waited = clock.lap()
        found = [
            drop_uncroppable(faces, self.detector.crop_calibration, frame.shape[1::-1])
            for frame, faces in zip(frames, found, strict=True)
        ]
        ends = np.cumsum([0, *map(len, found)]).tolist()
        batch = classifier.batch(ends[-1])
        quality: list[NDArray[np.float64]] = []
        for i, (frame, faces) in enumerate(zip(frames, found, strict=True)):
            tiles, crops = (
                batch[ends[i] : ends[i + 1]],
                self.detector.crop_calibration.crops(faces.boxes),
            )
            classifier.pack(frame, crops, roll_angles(faces.landmarks, len(faces)), tiles)
            quality.append(quality_scores(faces, crops, tiles, frame.shape[1::-1]))
            timings[i]["pack"] = clock.lap()

        probabilities = classifier.predict(batch)
        per_face = clock.lap() / max(1, len(batch))
        results = []
        for i, (frame, faces) in enumerate(zip(frames, found, strict=True)):
            times = timings[i]
            times["classify"] = per_face * len(faces)
            if waited >= 1:  # Only where the network was still loading.
                times["load"] = waited
            times["total"] = sum(times.values())
            results.append(
                FrameResult(
                    faces=_faces(
                        faces, probabilities[ends[i] : ends[i + 1]], quality[i], self.min_quality
                    ),
                    width=frame.shape[1],
                    height=frame.shape[0],
                    timings_ms={stage: round(ms, 3) for stage, ms in times.items()},
                    detector=self.detector.name,
                )
            )
        return results


def analyze(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | Frame,
    *,
    engine: Engine | None = None,
) -> FrameResult:
    """The faces of one picture: its path, its bytes as in the file, or its pixels.

    Args:
        source: what :func:`fastfer.read_image` or :meth:`Engine.analyze` takes.
        engine: whose detector and network to use; by default one with default settings, which is
            made by the first call and kept.

    Raises:
        InputError: the file cannot be read.
        FrameError: the array is not a frame.
        ModelError: the network cannot be used.
    """
    engine = engine or default_engine()
    if not isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)):
        return engine.analyze(source)
    result, _ = engine.analyze_encoded(EncodedImage.read(source))
    return result


def default_engine() -> Engine:
    """The engine behind :func:`analyze`, made once for the process."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Engine(load_in_background=True)
        return _default


_default: Engine | None = None
_default_lock: Final = threading.Lock()


def _faces(
    found: Detections,
    probabilities: NDArray[np.float32],
    quality: NDArray[np.float64],
    min_quality: float,
) -> tuple[Face, ...]:
    """Plain Python values, rounded to what is meaningful: 0.01 px, a millionth of certainty."""
    boxes = found.boxes.astype(np.float64).round(2).tolist()
    scores = found.scores.astype(np.float64).round(4).tolist()
    rows = probabilities.astype(np.float64).round(6).tolist()
    marks: list[Any] = [None] * len(found)
    if found.landmarks is not None:
        marks = found.landmarks.astype(np.float64).round(2).tolist()
    faces = []
    good = quality.round(3).tolist()
    for box, score, row, points, share in zip(boxes, scores, rows, marks, good, strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        faces.append(
            Face(
                box=tuple(box),
                detection_score=score,
                emotion=EMOTIONS[best] if share >= min_quality else None,
                score=row[best] if share >= min_quality else None,
                probabilities=dict(zip(EMOTIONS, row, strict=True)),
                landmarks=None if points is None else tuple(map(tuple, points)),
                quality=share,
                low_quality=share < min_quality,
            )
        )
    return tuple(faces)


def _enlarged(found: Detections, reduced: Frame, frame: Frame) -> Detections:
    """What was found in a smaller copy, in pixels of ``frame``."""
    return found.scaled(frame.shape[1] / reduced.shape[1], frame.shape[0] / reduced.shape[0])


def _keep_environment_in_place() -> None:
    """Let the environment hold the names that OpenCV's package sets while it is imported.

    For a new name the C library moves the whole table, under the hands of a thread whose libraries
    are reading it as they load, which can end in a segmentation fault. The value of a name that is
    there is exchanged in place.
    """
    if "cv2" not in sys.modules:
        for name in ("LD_LIBRARY_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR"):
            os.environ.setdefault(name, "")


def _in_background(name: str, make: Callable[[], T]) -> Callable[[], T]:
    """Start ``make`` in a thread; the function returned waits for its result, or its error.

    As an executor would, without the tenth of a start that importing one takes.
    """
    made: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            made.append(make())
        except Exception as error:
            failed.append(error)

    # Not a daemon: one that is cut off inside ONNX Runtime at exit takes the process with it.
    thread = threading.Thread(target=run, name=name)
    thread.start()

    def result() -> T:
        thread.join()
        if failed:
            raise failed[0]
        return made[0]

    return result


class _Clock:
    """Measures laps in milliseconds."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Milliseconds since the last lap."""
        now = time.perf_counter()
        lap, self._last = (now - self._last) * 1e3, now
        return lap
