"""The engine: a face detector and an expression classifier, applied to pictures."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.classifiers.attributes import AttributeClassifier
from fastfer.classifiers.base import Classifier
from fastfer.classifiers.opening import open_classifier
from fastfer.classifiers.tta import TTA, Tta
from fastfer.crops import drop_uncroppable
from fastfer.detections import CropCalibration, Detections
from fastfer.detectors import CoarseToFineDetector, Detector, create_detector
from fastfer.detectors.base import check_detector
from fastfer.detectors.given_boxes import GivenBoxes
from fastfer.errors import UsageError
from fastfer.face_reader import FaceReader, Stopwatch
from fastfer.forking import using_opencv
from fastfer.inference.background import in_background, reserve_environment_names
from fastfer.inference.onnx_session import pick_threads
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.pillow_images import PillowImage, is_pillow_image, pillow_pixels
from fastfer.kernels.pack import check_frame
from fastfer.labels import Attribute
from fastfer.quarter_turns import TURNS, may_lie, turn, turn_back
from fastfer.results import FrameResult
from fastfer.validation import (
    check_attributes,
    check_choice,
    check_path,
    check_range,
    check_unit_interval,
)

if TYPE_CHECKING:
    from fastfer.classifiers.contract import Head
    from fastfer.classifiers.custom import ModelSpec
    from fastfer.priors import Prior

Frame = NDArray[np.uint8]
Color = Literal["bgr", "rgb"]
Rotate = Literal["auto"]


Picture: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | Frame | PillowImage
"""What :meth:`Engine.analyze` accepts: a file's path or bytes, an array, or a Pillow image."""


class Engine:
    """A face detector and an expression classifier, loaded once and used for many pictures.

    Threads may share an engine. It can be pickled, for process pools and spawned processes: the
    pickle holds the arguments, and the receiving process loads the models again; detector
    and classifier objects are pickled as they are, those of fastfer with their networks. A forked
    child loads its own copies on first use, see :mod:`fastfer.forking`.
    """

    def __init__(
        self,
        detector: str | os.PathLike[str] | Detector = "auto",
        model: str | os.PathLike[str] | Classifier | None = None,
        *,
        spec: ModelSpec | None = None,
        head: Head | None = None,
        prior: Prior | None = None,
        threads: int | None = None,
        min_face: float = 0.0,
        detect_size: int | Literal["auto"] = "auto",
        min_quality: float = 0.0,
        attributes: Iterable[Attribute] | None = (),
        tta: Tta = "flip",
        load_in_background: bool = False,
    ) -> None:
        """Load the models.

        Args:
            detector: name or ``.onnx`` file of a detector, optionally with options (see
                :func:`~fastfer.detectors.create_detector`), or a detector object. ``"auto"`` is the
                bundled network.
            model: ``.onnx`` file of an expression network, or a classifier object; ``None`` is the
                bundled network.
            spec: labels and pixel scale of a network that was not made for fastfer.
            head: which output head of a network with several: ``"ferplus"`` or ``"fer2013"``;
                ``None`` is the network's default.
            prior: how frequent each emotion is among the faces, for a network that states the prior
                of its probabilities: ``"level"``, ``"uniform"``, ``"fer2013"``, ``"photos"`` or a
                mapping, see :data:`fastfer.priors.Prior`. ``None`` keeps the network's own.
            threads: threads of each network; ``None`` is what the process may use, at most 4. A
                ``threads`` option of ``detector`` takes precedence.
            min_face: side in pixels of the smallest face to report; 0 is the detector's limit.
            detect_size: long side in pixels of the reduced frame that the detector searches;
                ``"auto"`` is the detector's default, which for the bundled one depends on the
                content of the frame. Crops always come from the full-size frame.
            min_quality: faces of lower :attr:`~fastfer.results.Face.quality`, 0 to 1, are marked
                ``low_quality`` and have no emotion.
            attributes: what to estimate besides the expression, of
                :data:`fastfer.labels.ATTRIBUTES`: see :attr:`fastfer.results.Face.attributes`.
                ``None`` is nothing.
            tta: ``"flip"`` classifies each face of a photo and its mirror image, and takes the
                mean; ``"none"`` classifies it once, in 0.55 of the time of that step, as always in
                videos.
            load_in_background: return before the expression network is loaded. Its errors are then
                raised on first use.

        Raises:
            ModelError: a network cannot be loaded.
            UsageError: an unknown detector, a value out of range, or an option of an object that
                exists already.
        """
        check_unit_interval(min_quality=min_quality)
        check_range(min_face=(min_face, 0))
        pick_threads(threads)
        check_choice(tta=(tta, TTA))
        attributes = check_attributes(attributes)
        if not isinstance(detector, (str, os.PathLike)):
            check_detector(detector, "detector must be a name, a file or an object")
        if model is not None and not isinstance(model, Classifier):
            check_path(model=model)
        self._setup(
            detector=detector,
            model=model,
            spec=spec,
            head=head,
            prior=prior,
            threads=threads,
            min_face=min_face,
            detect_size=detect_size,
            min_quality=min_quality,
            attributes=attributes,
            tta=tta,
            load_in_background=load_in_background,
        )

    def _setup(self, **arguments: Any) -> None:
        self._arguments = arguments
        self.min_quality: float = arguments["min_quality"]
        # The classifiers first: with load_in_background the detector loads at the same time.
        self._classifier = _load_classifier(**arguments)
        self._attributes = _load_attributes(**arguments)
        self._detector = _load_detector(**arguments)

    def __getstate__(self) -> dict[str, Any]:
        return self._arguments | {"min_quality": self.min_quality}

    def __setstate__(self, arguments: dict[str, Any]) -> None:
        self._setup(**arguments)

    @property
    def detector(self) -> Detector:
        """The face detector."""
        return self._detector

    @property
    def classifier(self) -> Classifier:
        """The expression classifier. With ``load_in_background``, waits for it.

        Raises:
            ModelError: it could not be loaded.
        """
        return self._classifier()

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What is estimated besides the expression."""
        asked: tuple[Attribute, ...] = self._arguments["attributes"]
        return asked

    @property
    def tta(self) -> Tta:
        """What the expressions of a photo are averaged over."""
        chosen: Tta = self._arguments["tta"]
        return chosen

    @property
    def emotions(self) -> tuple[str, ...]:
        """The classes of its network: the seven emotions, or eight with contempt. As
        :attr:`classifier`, it may wait for the network."""
        return self.classifier.emotions

    @property
    def detection_size(self) -> int:
        """Long side in pixels of the reduced copy in which the detector finds the same faces as in
        a larger picture; 0 if it needs the full picture."""
        return getattr(self.detector, "detection_size", 0)

    @property
    def detects_in_gray(self) -> bool:
        """Whether the detector finds the same faces in gray pictures."""
        return getattr(self.detector, "detects_in_gray", False)

    @property
    def reader(self) -> FaceReader:
        """The steps after detection; see :attr:`classifier` for what it may wait for and raise."""
        return self._reader(self.detector.crop_calibration)

    def _reader(self, crop_calibration: CropCalibration) -> FaceReader:
        return FaceReader(
            self.classifier, crop_calibration, self.min_quality, self._attributes(), self.tta
        )

    def analyze(
        self,
        source: Picture,
        *,
        color: Color = "bgr",
        boxes: ArrayLike | None = None,
        reduced: Frame | None = None,
        rotate: Rotate | None = None,
    ) -> FrameResult:
        """Find the faces of one picture and classify their expressions.

        Args:
            source: path or bytes of an image file, see :func:`fastfer.read_image`; a uint8 array,
                (H, W, 3) or gray (H, W), with contiguous pixels in each row; or a ``PIL.Image``
                of 8 bits per channel, converted to RGB without EXIF rotation. Arrays are neither
                changed nor kept.
            color: channel order of an array. Files and Pillow images ignore it.
            boxes: (N, 4) x, y, width, height in pixels of the picture. They replace the detector:
                each box is cropped as it is, with ``detection_score`` 1.
            reduced: a smaller copy of an array, in color or gray, which the detector searches in
                its place, as far as it can.
            rotate: ``"auto"`` searches a picture without a face, or with uncertain or weak ones
                alone, also on its sides and upside down, and takes the position with the highest
                detection scores; see :attr:`FrameResult.rotation`.

        Raises:
            InputError: the file cannot be read.
            FrameError: an array of another dtype, shape or memory layout, or a ``PIL.Image`` of
                more bits or that cannot be read.
            BoxError: a box that is not finite, empty, or outside the picture.
            ModelError: the network cannot be loaded (with ``load_in_background``).
        """
        check_choice(color=(color, ("bgr", "rgb")), rotate=(rotate, (None, "auto")))
        if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)):
            return self.analyze_encoded(EncodedImage.read(source), boxes=boxes, rotate=rotate)[0]
        frame = _as_bgr(source, color)
        stopwatch = Stopwatch()
        if boxes is not None:
            given = GivenBoxes(boxes)
            return self._read(given, [frame], [given.detect(frame)], [{}], stopwatch)[0]
        if reduced is not None:
            reduced = _as_bgr(reduced, color)
        detector = self.detector
        found = _detect(detector, frame, reduced)
        (result,) = self._read(detector, [frame], [found], [{"detect": stopwatch.lap()}], stopwatch)
        return self._turned(frame, result) if rotate is not None and may_lie(result) else result

    def analyze_batch(self, frames: Sequence[Frame], *, color: Color = "bgr") -> list[FrameResult]:
        """As :meth:`analyze` for several arrays, whose faces are classified in one batch.

        The time of the batch is divided among the frames by number of faces.
        """
        check_choice(color=(color, ("bgr", "rgb")))
        if not isinstance(frames, Iterable):
            raise UsageError(f"frames must be a sequence of arrays; got {type(frames).__name__}")
        images = [_as_bgr(frame, color) for frame in frames]
        detector = self.detector
        stopwatch = Stopwatch()
        found: list[Detections] = []
        timings: list[dict[str, float]] = []
        for frame in images:
            found.append(_detect(detector, frame))
            timings.append({"detect": stopwatch.lap()})
        return self._read(detector, images, found, timings, stopwatch)

    def analyze_encoded(
        self,
        image: EncodedImage,
        *,
        boxes: ArrayLike | None = None,
        rotate: Rotate | None = None,
    ) -> tuple[FrameResult, Frame]:
        """As :meth:`analyze` for an image file; also returns its pixels, (H, W, 3) BGR.

        The detector searches a reduced copy of a large JPEG while another thread decodes the whole,
        from which the crops come.

        Raises:
            InputError: over a limit, truncated, or not decodable.
        """
        stopwatch = Stopwatch()
        factor = 1 if boxes is not None else image.reduction(self.detection_size)
        if factor == 1:
            frame = image.decode()
            read = stopwatch.lap()
            result = self.analyze(frame, boxes=boxes, rotate=rotate)
            return result.with_stage_time("read", read), frame
        whole = in_background("fastfer-read", image.decode)
        reduced = image.decode_reduced(factor, gray=self.detects_in_gray)
        if reduced is None:  # Decoding the whole raises the error that explains why.
            reduced = whole()
        read = stopwatch.lap()
        detector = self.detector
        finish = _begin(detector, reduced, max(image.header.width, image.header.height))
        detect = stopwatch.lap()
        frame = whole()
        read += stopwatch.lap()
        found = _croppable(finish(frame), detector, frame)
        timings = {"detect": detect + stopwatch.lap()}
        (result,) = self._read(detector, [frame], [found], [timings], stopwatch)
        if rotate is not None and may_lie(result):
            result = self._turned(frame, result)
        return result.with_stage_time("read", read), frame

    def _turned(self, frame: Frame, upright: FrameResult) -> FrameResult:
        """The result of ``frame`` turned by the quarters in which the scores of its faces are
        highest, among them ``upright``."""
        best, spent = upright, upright.timings_ms["total"]
        highest = sum(face.detection_score for face in upright)
        for degrees in TURNS:
            result = turn_back(self.analyze(turn(frame, degrees)), degrees)
            spent += result.timings_ms["total"]
            score = sum(face.detection_score for face in result)
            if score > highest:
                best, highest = result, score
        return best.with_stage_time("other_rotations", spent - best.timings_ms["total"])

    @using_opencv()
    def _read(
        self,
        detector: Detector,
        frames: Sequence[Frame],
        found: Sequence[Detections],
        timings: Sequence[dict[str, float]],
        stopwatch: Stopwatch,
    ) -> list[FrameResult]:
        """The results of ``frames``, given what ``detector`` found in each and the times so far."""
        reader = self._reader(detector.crop_calibration)
        waited = stopwatch.lap()
        faces = reader.read(frames, found, timings, stopwatch)
        results = []
        for frame, of_frame, times in zip(frames, faces, timings, strict=True):
            if waited >= 1:  # Only while the network is still loading.
                times["load"] = waited
            times["total"] = sum(times.values())
            results.append(
                FrameResult(
                    faces=of_frame,
                    width=frame.shape[1],
                    height=frame.shape[0],
                    timings_ms={stage: round(ms, 3) for stage, ms in times.items()},
                    detector=detector.name,
                )
            )
        return results


def _load_classifier(
    *,
    model: str | os.PathLike[str] | Classifier | None,
    spec: ModelSpec | None,
    head: Head | None,
    prior: Prior | None,
    threads: int | None,
    load_in_background: bool,
    **_: Any,
) -> Callable[[], Classifier]:
    """A function that returns the classifier, once it is loaded."""
    if isinstance(model, Classifier):
        if any(option is not None for option in (threads, head, spec, prior)):
            raise UsageError("threads, head, spec and prior do not apply to a classifier object")
        classifier = model
    elif load_in_background:
        reserve_environment_names()
        return in_background(
            "fastfer-load", lambda: open_classifier(model, threads, spec, head, prior)
        )
    else:
        classifier = open_classifier(model, threads, spec, head, prior)
    return lambda: classifier


def _load_attributes(
    *,
    attributes: tuple[Attribute, ...],
    threads: int | None,
    load_in_background: bool,
    **_: Any,
) -> Callable[[], AttributeClassifier | None]:
    """A function that returns the attribute network, if one is needed, once it is loaded."""
    if not attributes:
        return lambda: None
    if load_in_background:
        reserve_environment_names()
        return in_background(
            "fastfer-attributes", lambda: AttributeClassifier(attributes, threads=threads)
        )
    network = AttributeClassifier(attributes, threads=threads)
    return lambda: network


def _load_detector(
    *,
    detector: str | os.PathLike[str] | Detector,
    threads: int | None,
    min_face: float,
    detect_size: int | Literal["auto"],
    **_: Any,
) -> Detector:
    size = {} if detect_size == "auto" else {"detect_size": detect_size}
    if isinstance(detector, (str, os.PathLike)):
        return create_detector(detector, threads=threads, min_face=min_face, **size)
    if min_face or size:
        raise UsageError("min_face and detect_size do not apply to a detector object")
    return detector


@using_opencv()
def _detect(detector: Detector, frame: Frame, reduced: Frame | None = None) -> Detections:
    """The croppable faces of ``frame``, found in it or in a reduced copy."""
    if reduced is None:
        found = detector.detect(frame)
    else:
        found = _begin(detector, reduced, max(frame.shape[:2]))(frame)
    return _croppable(found, detector, frame)


@using_opencv()
def _begin(detector: Detector, reduced: Frame, long_side: int) -> Callable[[Frame], Detections]:
    """Search the reduced copy of a picture; returns a function that maps the picture to its faces.

    ``long_side``: of the picture, in pixels.
    """
    if isinstance(detector, CoarseToFineDetector):
        return using_opencv()(partial(detector.finish, state=detector.begin(reduced, long_side)))
    found = detector.detect(reduced)
    height, width = reduced.shape[:2]
    return lambda frame: found.scaled(frame.shape[1] / width, frame.shape[0] / height)


def _croppable(found: Detections, detector: Detector, frame: Frame) -> Detections:
    return drop_uncroppable(found, detector.crop_calibration, frame.shape[1::-1])


def analyze(
    source: Picture,
    *,
    engine: Engine | None = None,
    color: Color = "bgr",
    boxes: ArrayLike | None = None,
) -> FrameResult:
    """Find the faces of one picture and classify their expressions.

        >>> for face in fastfer.analyze("photo.jpg"):
        ...     print(face.box, face.emotion, face.score)

    Args:
        source: path or bytes of an image file, array or ``PIL.Image``; see :meth:`Engine.analyze`,
            also for the errors.
        engine: detector and network to use; by default one with default settings, created by the
            first call and kept.
        color: channel order of an array, ``"bgr"`` or ``"rgb"``.
        boxes: (N, 4) faces to classify in place of detection.
    """
    return engine_or_default(engine).analyze(source, color=color, boxes=boxes)


def engine_or_default(engine: Engine | None) -> Engine:
    """``engine``, or for ``None`` the default one, created once per process.

    Raises:
        UsageError: an object of another type (``out_of_range``).
    """
    global _default
    if isinstance(engine, Engine):
        return engine
    if engine is not None:
        raise UsageError(f"engine must be a fastfer.Engine; got {engine!r}", code="out_of_range")
    with _default_lock:
        if _default is None:
            _default = Engine(load_in_background=True)
        return _default


_default: Engine | None = None
_default_lock: Final = threading.Lock()


def _as_bgr(source: Any, color: Color) -> Frame:
    """The pixels of an array or Pillow image in the order that the kernels take."""
    if is_pillow_image(source):
        source = pillow_pixels(source)
        color = "rgb"
    check_frame(source)
    frame: Frame = source
    if color == "rgb" and frame.ndim == 3:
        return np.ascontiguousarray(frame[:, :, ::-1])
    return frame
