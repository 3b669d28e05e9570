"""The answers of the server as types, for its OpenAPI description."""

from __future__ import annotations

from pydantic import BaseModel, Field


class AttributesModel(BaseModel):
    """How a face looks to people; only the keys of the attributes that were asked for."""

    perceived_gender: str | None = None
    gender: dict[str, float] | None = None
    age_group: str | None = None
    expected_age: float | None = None
    age: dict[str, float] | None = None


class FaceModel(BaseModel):
    """One face; see the schema page of the documentation."""

    box: list[float]
    detection_score: float
    quality: float
    low_quality: bool
    emotion: str | None
    score: float | None
    uncertain: bool
    valence: float
    arousal: float
    probabilities: dict[str, float]
    landmarks: list[list[float]] | None
    attributes: AttributesModel | None = Field(
        None, description="Only with the option attributes; absent otherwise"
    )


class PictureModel(BaseModel):
    """The result of one picture, or its error."""

    schema_version: int = Field(alias="schema")
    source: str
    error: str | None
    error_code: str | None
    width: int | None
    height: int | None
    detector: str | None
    faces: list[FaceModel] | None
    timings_ms: dict[str, float] | None


class ResultsModel(BaseModel):
    """One result per picture, in the order of the request."""

    results: list[PictureModel]


class ErrorModel(BaseModel):
    """Why a request failed."""

    error: str
    error_code: str


class JobModel(BaseModel):
    """A video job."""

    id: str
    state: str
    """``uploading``, ``waiting``, ``running``, ``done`` or ``failed``."""
    progress: float
    """Share of the video that has been analysed, 0 to 1."""
    seconds_left: float | None
    frames: int
    error: str | None
    error_code: str | None
    files: list[str]
    expires_in: float | None


ERRORS: dict[int | str, dict[str, object]] = {
    status: {"model": ErrorModel, "description": text}
    for status, text in {
        400: "Malformed request",
        401: "No token, or a wrong one",
        403: "Host or Origin not allowed",
        408: "The request arrived too slowly",
        413: "Too many bytes, pixels or pictures",
        415: "Not a supported format",
        422: "Damaged picture, or an option that is unknown or out of range",
        429: "Busy; try again after the seconds of Retry-After",
    }.items()
}
