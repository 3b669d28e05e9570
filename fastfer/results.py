"""Results of an analysis: plain data that converts to native JSON types, arrays and tables."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import UsageError
from fastfer.labels import (
    AGE_MIDDLES,
    ALL_EMOTIONS,
    ATTRIBUTES,
    CIRCUMPLEX,
    CONTEMPT,
    EMOTIONS,
    Attribute,
    Language,
)

if TYPE_CHECKING:
    import pandas
    import supervision

SCHEMA_VERSION: Final = 2
"""Version of the dictionaries of ``to_dict()``; increases when a key changes its meaning."""

Box = tuple[float, float, float, float]
Point = tuple[float, float]
Status = Literal["detected", "tracked"]

BEST_KEYS: Final[dict[Attribute, tuple[str, ...]]] = {
    "gender": ("perceived_gender",),
    "age": ("age_group", "expected_age"),
}
"""What :class:`Attributes` say of each attribute besides its probabilities."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """How old and of which gender a face looks to the labellers of FairFace: no fact about the
    person. ``None`` for an attribute that was not asked for. The mean over time in videos."""

    gender: dict[str, float] | None = None
    """Probability of each of :data:`fastfer.labels.GENDERS`; they sum to 1."""
    age: dict[str, float] | None = None
    """Probability of each of :data:`fastfer.labels.AGE_GROUPS`; they sum to 1."""

    @property
    def perceived_gender(self) -> str | None:
        """The more probable gender."""
        return None if self.gender is None else max(self.gender, key=self.gender.__getitem__)

    @property
    def age_group(self) -> str | None:
        """The most probable age group."""
        return None if self.age is None else max(self.age, key=self.age.__getitem__)

    @property
    def expected_age(self) -> float | None:
        """Years: the mean of :data:`fastfer.labels.AGE_MIDDLES` under :attr:`age`."""
        if self.age is None:
            return None
        pairs = zip(self.age.values(), AGE_MIDDLES, strict=True)
        return round(sum(p * years for p, years in pairs), 1)

    @property
    def names(self) -> tuple[Attribute, ...]:
        """The attributes that were asked for."""
        known = {"gender": self.gender, "age": self.age}
        return tuple(name for name in ATTRIBUTES if known[name] is not None)

    def only(self, names: Iterable[Attribute]) -> Attributes | None:
        """These attributes without the others; ``None`` if none is left."""
        names = set(names)
        kept = Attributes(
            self.gender if "gender" in names else None, self.age if "age" in names else None
        )
        return kept if kept.names else None

    def best(self) -> dict[str, Any]:
        """:data:`BEST_KEYS` of the attributes that were asked for, without probabilities."""
        return {key: getattr(self, key) for name in self.names for key in BEST_KEYS[name]}

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types; only the keys of the attributes that were asked for."""
        values: dict[str, Any] = {}
        if self.gender is not None:
            values |= {"perceived_gender": self.perceived_gender, "gender": dict(self.gender)}
        if self.age is not None:
            values |= {
                "age_group": self.age_group,
                "expected_age": self.expected_age,
                "age": dict(self.age),
            }
        return values


@dataclass(frozen=True, slots=True)
class Face:
    """One face and its expression. The fields from :attr:`track_id` on are set in videos only."""

    box: Box
    """x, y, width, height in pixels of the original frame, after EXIF rotation."""
    detection_score: float
    """Confidence of the detector; its scale depends on the detector."""
    emotion: str | None
    """Most probable of :data:`fastfer.labels.EMOTIONS`; ``None`` if the quality is too low."""
    score: float | None
    """Probability of :attr:`emotion`, 0 to 1; ``None`` if that is ``None``."""
    probabilities: dict[str, float]
    """Probability of each emotion, in label order; they sum to 1. Smoothed over time in videos.
    Networks with that class add ``contempt``."""
    landmarks: tuple[Point, ...] | None = None
    """Right eye, left eye, nose, right and left mouth corner in frame pixels, if known."""
    quality: float = 1.0
    """Image quality of the face, 0 to 1: see :func:`fastfer.quality.quality_scores`."""
    low_quality: bool = False
    """Whether :attr:`quality` is below the requested minimum."""
    uncertain: bool = False
    """Whether the two highest probabilities are close, or the network finds the crop unlike a face:
    see :data:`fastfer.face_reader.UNCERTAIN_MARGIN`."""
    attributes: Attributes | None = None
    """Perceived gender and age group, if :class:`fastfer.Engine` was asked for them."""
    track_id: int | None = None
    """Number of the face, from 1; the same in all frames of a video."""
    status: Status | None = None
    """``detected`` in this frame, or ``tracked`` into it by optical flow."""
    classified: bool | None = None
    """Whether the network ran on the face in this frame; otherwise its last output is reused."""
    confirmed: bool | None = None
    """Whether the detector has found this face more than once so far."""
    raw_probabilities: dict[str, float] | None = None
    """The network's last output for this face, before smoothing."""

    @property
    def valence(self) -> float:
        """From unpleasant, -1, to pleasant, 1: the mean of :data:`fastfer.labels.CIRCUMPLEX` under
        :attr:`probabilities`."""
        return self._on_circumplex(0)

    @property
    def arousal(self) -> float:
        """From calm, -1, to excited, 1: as :attr:`valence`. It is hardly ever below 0, because of
        the seven emotions only *sad* is."""
        return self._on_circumplex(1)

    def _on_circumplex(self, axis: int) -> float:
        mean = sum(p * CIRCUMPLEX.get(name, (0, 0))[axis] for name, p in self.probabilities.items())
        # Contempt has no coordinates: the mean is that of the seven emotions.
        rest = 1 - self.probabilities.get(CONTEMPT, 0.0)
        return round(mean / rest, 4) if rest > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only; without the keys of videos for photos."""
        face: dict[str, Any] = {
            "box": list(self.box),
            "detection_score": self.detection_score,
            "quality": self.quality,
            "low_quality": self.low_quality,
            "emotion": self.emotion,
            "score": self.score,
            "uncertain": self.uncertain,
            "valence": self.valence,
            "arousal": self.arousal,
            "probabilities": dict(self.probabilities),
            "landmarks": None if self.landmarks is None else [list(p) for p in self.landmarks],
        }
        if self.attributes is not None:
            face["attributes"] = self.attributes.to_dict()
        if self.track_id is not None:
            raw = self.raw_probabilities
            face |= {
                "track_id": self.track_id,
                "status": self.status,
                "classified": self.classified,
                "confirmed": self.confirmed,
                "raw_probabilities": None if raw is None else dict(raw),
            }
        return face


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All faces of one frame: a sequence of :class:`Face` with array views of their fields."""

    faces: tuple[Face, ...]
    width: int
    """Of the original frame in pixels."""
    height: int
    """Of the original frame in pixels."""
    timings_ms: dict[str, float] = field(default_factory=dict, compare=False)
    """Milliseconds per stage: ``read`` (files), ``load`` (waiting for the network), ``detect``,
    ``track`` (videos), ``pack``, ``classify``, ``other_rotations`` (the positions that ``rotate``
    tried in vain), and their sum ``total``. Results that differ in nothing else are equal."""
    detector: str = ""
    """Name of the detector that ran."""
    rotation: int = field(default=0, kw_only=True)
    """Degrees clockwise by which a photo was turned because its faces were only found so; boxes and
    landmarks are those of the photo as it is."""

    def __len__(self) -> int:
        return len(self.faces)

    def __iter__(self) -> Iterator[Face]:
        return iter(self.faces)

    def __getitem__(self, index: int) -> Face:
        return self.faces[index]

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(N, 4) float32: x, y, width, height in frame pixels."""
        return np.array([face.box for face in self.faces], np.float32).reshape(-1, 4)

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """(N, 4) float32: left, top, right, bottom in frame pixels."""
        boxes = self.boxes
        boxes[:, 2:] += boxes[:, :2]
        return boxes

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, 7) float32 in the order of :data:`fastfer.labels.EMOTIONS`; (N, 8) with contempt if
        the faces have it, and (0, 7) without a face."""
        names = ALL_EMOTIONS if self._has_contempt else EMOTIONS
        rows = [[face.probabilities[name] for name in names] for face in self.faces]
        return np.array(rows, np.float32).reshape(-1, len(names))

    @property
    def _has_contempt(self) -> bool:
        return bool(self.faces) and CONTEMPT in self.faces[0].probabilities

    @property
    def track_ids(self) -> NDArray[np.int64] | None:
        """(N,) int64 in videos, ``None`` for a photo."""
        return None

    def with_stage_time(self, stage: str, ms: float) -> FrameResult:
        """A copy with the time of one more stage, which ran before the others."""
        timings = {stage: round(ms, 3)} | self.timings_ms
        timings["total"] = round(self.timings_ms.get("total", 0.0) + ms, 3)
        return replace(self, timings_ms=timings)

    def plot(self, frame: NDArray[np.uint8], lang: Language = "en") -> NDArray[np.uint8]:
        """A copy of ``frame``, (H, W, 3) BGR or (H, W) gray uint8, with boxes, labels and
        probability bars drawn on it."""
        from fastfer.display.annotate import draw_result

        return draw_result(frame, self, lang=lang)

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only, with the schema version."""
        return {
            "schema": SCHEMA_VERSION,
            "width": self.width,
            "height": self.height,
            "detector": self.detector,
            "rotation": self.rotation,
            "faces": [face.to_dict() for face in self.faces],
            "timings_ms": dict(self.timings_ms),
        }

    def to_pandas(self) -> pandas.DataFrame:
        """One row per face, with the columns and dtypes of :data:`fastfer.CSV_DTYPES`.

        Integers are ``Int64`` and booleans ``boolean``, so that columns may hold missing values.

        Raises:
            UsageError: pandas is not installed; code ``missing_package``.
        """
        pd = _optional("pandas", "to_pandas()")
        from fastfer.outputs.columns import CSV_DTYPES, ColumnGroup, columns, to_rows

        known = next((f.attributes for f in self.faces if f.attributes is not None), None)
        attributes: list[ColumnGroup] = [] if known is None else [*known.names]
        if self._has_contempt:
            attributes.append(CONTEMPT)
        rows = list(to_rows(self, attributes)) if self.faces else []
        names = columns(attributes)
        return pd.DataFrame(rows, columns=list(names)).astype({k: CSV_DTYPES[k] for k in names})

    def to_supervision(self) -> supervision.Detections:
        """The faces as ``supervision.Detections``, for its annotators, zones and sinks.

        ``class_id`` is the index of the emotion in :data:`~fastfer.labels.EMOTIONS` and
        ``confidence`` its probability; -1 and 0 for faces of low quality. ``tracker_id`` is set for
        videos. ``data`` holds ``class_name``, ``probabilities`` (N, 7), ``detection_score`` and
        ``quality``.

        Raises:
            UsageError: supervision is not installed; code ``missing_package``.
        """
        sv = _optional("supervision", "to_supervision()")
        names = [face.emotion for face in self.faces]
        detections: supervision.Detections = sv.Detections(
            xyxy=self.xyxy,
            confidence=np.array([face.score or 0.0 for face in self.faces], np.float32),
            class_id=np.array(
                [-1 if n is None else ALL_EMOTIONS.index(n) for n in names], np.int64
            ),
            tracker_id=self.track_ids,
            data={
                "class_name": np.array([name or "" for name in names], np.str_),
                "probabilities": self.probabilities,
                "detection_score": np.array([f.detection_score for f in self.faces], np.float32),
                "quality": np.array([f.quality for f in self.faces], np.float32),
            },
        )
        return detections


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """The result of one photo of many, or the error that prevented it."""

    source: str
    """Path as the user wrote it; ``-`` for standard input."""
    result: FrameResult | None
    error: str | None = None
    error_code: str | None = None
    """One of :data:`fastfer.errors.CODES`."""
    warning: str | None = None
    """What is wrong with a photo that could be read, or why it has no annotated copy."""
    saved_as: str | None = None
    """Path of the annotated copy."""

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only; the same keys for every photo.

        If it could not be read, ``error`` and ``error_code`` are set and all else is null: an empty
        list of faces would mean that there are none.
        """
        head = {
            "schema": SCHEMA_VERSION,
            "source": self.source,
            "error": self.error,
            "error_code": self.error_code,
            "warning": self.warning,
            "saved_as": self.saved_as,
        }
        if self.result is None:
            return head | dict.fromkeys(
                ("width", "height", "detector", "rotation", "faces", "timings_ms")
            )
        return head | self.result.to_dict()


@dataclass(frozen=True, slots=True)
class VideoFrameResult(FrameResult):
    """All faces of one frame of a video."""

    source: str = ""
    """Name of the video, camera or stream."""
    frame_index: int = 0
    """Number of the frame in its source, from 0; a live source counts dropped frames too."""
    pts: float = 0.0
    """Presentation time in seconds since the first frame."""
    detected: bool = True
    """Whether the detector ran on this frame."""

    @property
    def track_ids(self) -> NDArray[np.int64]:
        """(N,) int64."""
        return np.array([face.track_id for face in self.faces], np.int64)

    @property
    def tracks(self) -> dict[int, Face]:
        """The faces by :attr:`Face.track_id`."""
        return {face.track_id: face for face in self.faces if face.track_id is not None}

    def to_dict(self) -> dict[str, Any]:
        """Native JSON types only, with the schema version."""
        return {
            "schema": SCHEMA_VERSION,
            "source": self.source,
            "frame_index": self.frame_index,
            "pts": self.pts,
            "detected": self.detected,
        } | FrameResult.to_dict(self)


def _optional(package: str, user: str) -> Any:
    """The module of a package that fastfer does not depend on."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UsageError(
            f"{user} needs {package} ({error}): pip install {package}", code="missing_package"
        ) from None
