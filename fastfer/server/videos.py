"""Routes of video jobs: ``/v1/video``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from python_multipart.multipart import MultipartParser, parse_options_header

from fastfer.errors import InputError
from fastfer.labels import Language
from fastfer.outputs.base import write_error
from fastfer.server import metrics
from fastfer.server.analysis import Analyzer
from fastfer.server.job_store import FILES, JobStore
from fastfer.server.options import AttributesQuery, asked_attributes, check_query
from fastfer.server.pictures import safe_name
from fastfer.server.problems import RequestError
from fastfer.server.schema import ERRORS, JobModel

router = APIRouter(prefix="/v1/video", tags=["videos"], dependencies=[Depends(check_query)])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "video/mp4": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"video": {"type": "string", "format": "binary"}},
                }
            },
        },
    },
    "x-curl": "curl --data-binary @clip.mp4 -H 'Content-Type: video/mp4'",
}


@router.post(
    "",
    status_code=202,
    summary="Start the analysis of a video",
    openapi_extra=BODY,
    responses={202: {"model": JobModel}, **ERRORS},
)
async def start(
    request: Request,
    name: Annotated[str, Query(description="file name that results repeat")] = "video",
    lang: Annotated[Language, Query(description="language of subtitles and plots")] = "en",
    blur: Annotated[Literal["", "faces", "eyes"], Query(description="hide faces or eyes")] = "",
    pixelate: Annotated[bool, Query(description="hide by blocks instead of a blur")] = False,
    landmarks: Annotated[bool, Query(description="whether rows have landmarks")] = True,
    attributes: AttributesQuery = None,
) -> Response:
    """The body is the file, or a form with one file. The answer has the ``id`` of a job, whose
    progress ``GET /v1/video/{id}`` reports."""
    store: JobStore = request.app.state.jobs
    analyzer: Analyzer = request.app.state.analyzer
    asked = asked_attributes(attributes, analyzer.engines.main.attributes)
    await analyzer.run(analyzer.engines.select, "default", "default", asked)  # Fails now, or never.
    job = await asyncio.to_thread(
        store.new,
        {
            "name": safe_name(name),
            "lang": lang,
            "blur": blur,
            "pixelate": pixelate,
            "landmarks": landmarks,
            "attributes": asked,
        },
    )
    try:
        await _receive(request, store.video(job))
        await asyncio.to_thread(store.submit, job)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(store.remove, job))
        raise
    metrics.JOBS.labels("accepted").inc()
    status = await asyncio.to_thread(store.status, job)
    return JSONResponse(status, 202, {"location": f"/v1/video/{job}", "cache-control": "no-store"})


@router.get(
    "/{job}", summary="State and progress of a job", responses={200: {"model": JobModel}, **ERRORS}
)
async def status(request: Request, job: str) -> Response:
    """``state`` is uploading, waiting, running, done or failed."""
    store: JobStore = request.app.state.jobs
    await asyncio.to_thread(store.sweep)
    state = await asyncio.to_thread(store.status, job)
    return JSONResponse(state, headers={"cache-control": "no-store"})


@router.delete("/{job}", status_code=204, summary="Cancel a job and remove its files")
async def remove(request: Request, job: str) -> Response:
    """The job is unknown from then on."""
    store: JobStore = request.app.state.jobs
    await asyncio.to_thread(store.remove, job)
    return Response(status_code=204)


@router.get(
    "/{job}/{file}",
    summary="One result of a job that is done",
    responses={200: {"content": {kind: {} for kind in FILES.values()}}, **ERRORS},
    response_class=FileResponse,
)
async def result(request: Request, job: str, file: str) -> Response:
    """``file`` is one of the job's ``files``, such as ``faces.csv`` or ``annotated.mp4``."""
    store: JobStore = request.app.state.jobs
    path = await asyncio.to_thread(store.file, job, file)
    inline = file in ("people.json", "annotated.mp4", "plot.png")
    return FileResponse(
        path,
        media_type=FILES[file],
        filename=f"fastfer-{file}",
        content_disposition_type="inline" if inline else "attachment",
        headers={"cache-control": "no-store"},
    )


async def _receive(request: Request, path: Any) -> None:
    """Write the video of ``request`` to ``path``."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    is_form = kind == b"multipart/form-data"
    if not (is_form or kind.startswith(b"video/") or kind in (
        b"application/octet-stream", b"image/gif"
    )):  # fmt: skip
        raise RequestError(
            "send video/*, image/gif, application/octet-stream or multipart/form-data",
            code="unsupported_format",
        )
    size = 0
    try:
        with path.open("xb") as file:
            sink = _FormFile(file, options.get(b"boundary", b"")) if is_form else file
            async for chunk in request.stream():
                if chunk:
                    await asyncio.to_thread(sink.write, chunk)
            size = file.tell()
    except OSError as error:
        raise write_error("the upload", error) from None
    if size == 0:
        raise InputError("the request holds no video", code="empty_file")


class _FormFile:
    """Writes the first file of a form; other parts are refused."""

    def __init__(self, file: Any, boundary: bytes) -> None:
        if not boundary:
            raise InputError("the form has no boundary", code="damaged")
        self._file = file
        self._parts = 0
        self._parser = MultipartParser(
            boundary, {"on_part_begin": self._begin, "on_part_data": self._data}
        )

    def write(self, chunk: bytes) -> None:
        """Parse the next part of the body."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InputError(f"the form cannot be read: {error}", code="damaged") from None

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise RequestError("a form with a video has one part", code="too_large")

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._file.write(data[start:end])
