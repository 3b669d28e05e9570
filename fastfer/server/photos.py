"""Routes that analyse pictures: ``/v1/analyze`` and ``/v1/annotate``."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from fastfer.errors import InputError
from fastfer.labels import Language
from fastfer.results import FrameResult, PhotoResult
from fastfer.server.analysis import Analyzer, Frame
from fastfer.server.face_options import with_options
from fastfer.server.options import AttributesQuery, asked_attributes, check_query
from fastfer.server.pictures import read_pictures
from fastfer.server.schema import ERRORS, ResultsModel
from fastfer.server.settings import ServerSettings

router = APIRouter(prefix="/v1", tags=["pictures"], dependencies=[Depends(check_query)])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            "application/json": {
                "schema": {"type": "object"},
                "example": {"images": [{"name": "a.jpg", "data": "BASE64"}]},
            },
        },
    }
}


@router.post(
    "/analyze",
    summary="Find the faces of one or many pictures and classify their expressions",
    openapi_extra=BODY | {"x-curl": "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg'"},
    responses={200: {"model": ResultsModel}, **ERRORS},
    response_class=Response,
)
async def analyze(
    request: Request,
    min_quality: Annotated[
        float, Query(ge=0, le=1, description="null emotion below this quality")
    ] = 0.0,
    landmarks: Annotated[bool, Query(description="whether to return landmarks")] = True,
    detector: Annotated[str, Query(description="default, nano, yunet or haar")] = "default",
    head: Annotated[str, Query(description="default, ferplus or fer2013")] = "default",
    attributes: AttributesQuery = None,
) -> Response:
    """The answer has one result per picture. If a request holds a single picture that cannot be
    read, the status says why; of many, each has its own ``error_code``."""
    analyzer: Analyzer = request.app.state.analyzer
    settings: ServerSettings = request.app.state.settings
    with analyzer.admit():
        engine = analyzer.engines.main
        asked = asked_attributes(attributes, engine.attributes)
        pictures = await read_pictures(request, settings.max_pictures)
        if detector != "default" or head != "default" or asked != engine.attributes:
            engine = await analyzer.run(analyzer.engines.select, detector, head, asked)
        if len(pictures) == 1:
            photo, _, error = await analyzer.photo(pictures[0], engine)
            if error is not None:
                raise error
            photos = [photo]
        else:
            answers = await asyncio.gather(*(analyzer.photo(p, engine) for p in pictures))
            photos = [photo for photo, _, _ in answers]
    results = []
    for photo in photos:
        if photo.result is not None:
            changed = with_options(
                photo.result, min_quality=min_quality, landmarks=landmarks, attributes=asked
            )
            photo = PhotoResult(photo.source, changed)
        results.append(photo.to_dict())
    return _json({"results": results})


@router.post(
    "/annotate",
    summary="One picture with boxes, labels and probabilities drawn on it",
    openapi_extra=BODY
    | {"x-curl": "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' -o annotated.jpg"},
    responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}, **ERRORS},
    response_class=Response,
)
async def annotate(
    request: Request,
    lang: Annotated[Language, Query(description="language of the labels")] = "en",
    image_format: Annotated[Literal["jpeg", "png"], Query(alias="format")] = "jpeg",
    blur: Annotated[Literal["", "faces", "eyes"], Query(description="hide faces or eyes")] = "",
    pixelate: Annotated[bool, Query(description="hide by blocks instead of a blur")] = False,
    detector: Annotated[str, Query()] = "default",
    head: Annotated[str, Query()] = "default",
    min_quality: Annotated[float, Query(ge=0, le=1)] = 0.0,
    attributes: AttributesQuery = None,
) -> Response:
    """Without ``blur``, ``pixelate`` hides faces."""
    analyzer: Analyzer = request.app.state.analyzer
    with analyzer.admit():
        asked = asked_attributes(attributes, analyzer.engines.main.attributes)
        pictures = await read_pictures(request, 1)
        engine = await analyzer.run(analyzer.engines.select, detector, head, asked)
        _, frame, error = answer = await analyzer.photo(pictures[0], engine)
        if error is not None:
            raise error
        result = answer[0].result
        assert result is not None
        assert frame is not None
        result = with_options(result, min_quality=min_quality, attributes=asked)
        data = await analyzer.run(_draw, frame, result, lang, image_format, blur, pixelate)
    return Response(data, media_type=f"image/{image_format}", headers={"cache-control": "no-store"})


def _draw(
    frame: Frame, result: FrameResult, lang: Language, kind: str, blur: Any, pixelate: bool
) -> bytes:
    import cv2

    from fastfer.display.annotate import annotate_photo
    from fastfer.display.anonymize import Anonymizer

    if blur or pixelate:
        frame = Anonymizer(blur or "faces", pixelate).apply(frame, result)
    ok, data = cv2.imencode(
        ".png" if kind == "png" else ".jpg", annotate_photo(frame, result, lang=lang)
    )
    if not ok:
        raise InputError("the picture cannot be encoded", code="damaged")
    return data.tobytes()


def _json(value: object, status: int = 200) -> Response:
    return Response(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
        status,
        {"cache-control": "no-store"},
        "application/json",
    )
