"""The application: routes, errors, middleware and the engine of one process."""

from __future__ import annotations

import asyncio
import os
import pickle
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from fastfer import __version__
from fastfer.classifiers.attributes import ATTRIBUTE_MODEL
from fastfer.errors import FastferError
from fastfer.labels import ATTRIBUTES
from fastfer.server import metrics, photos, problems, settings, stream, videos
from fastfer.server.analysis import Analyzer
from fastfer.server.guard import COOKIE, Guard, same, session_value
from fastfer.server.job_store import JobStore
from fastfer.server.problems import problem
from fastfer.server.protocol import BoundedHttpProtocol
from fastfer.server.settings import FOLDER_VARIABLE, ServerSettings

if TYPE_CHECKING:
    from fastfer.engine import Engine

SWEEP_EVERY: Final = 1.0
"""Seconds between two checks of the video jobs."""
STATIC: Final = Path(__file__).parent / "static"
health = APIRouter(tags=["health"])


def create_app(engine: Engine, options: ServerSettings, folder: Path) -> FastAPI:
    """The application around ``engine``.

    Args:
        engine: shared by all requests of this process.
        options: limits and token.
        folder: private folder for temporary files, shared by all workers.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tempfile.tempdir = str(folder)
        analyzer = Analyzer(engine, options)
        engine.reader  # noqa: B018 - ready only when all networks are loaded.
        app.state.analyzer = analyzer
        app.state.jobs = jobs = JobStore(folder, options)
        app.state.streams = 0
        sweeping = asyncio.create_task(_sweep(jobs))
        app.state.ready = True
        try:
            yield
        finally:
            app.state.ready = False
            sweeping.cancel()
            jobs.close()
            analyzer.close()

    app = FastAPI(
        title="fastfer",
        version=__version__,
        description="Facial expressions in pictures, videos and streams.",
        docs_url=None,  # Its scripts come from another host.
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = options
    app.state.folder = folder
    app.state.ready = False
    app.state.start_page = "/docs"
    app.include_router(health)
    app.include_router(photos.router)
    app.include_router(videos.router)
    app.include_router(stream.router)
    app.add_middleware(metrics.Measure)
    app.add_middleware(Guard, settings=options)
    _add_error_handlers(app)
    return app


async def _sweep(jobs: JobStore) -> None:
    """Start, end and remove jobs in time."""
    while True:
        await asyncio.sleep(SWEEP_EVERY)
        with suppress(OSError):
            await asyncio.to_thread(jobs.sweep)


def from_environment() -> FastAPI:
    """The application of a worker process; uvicorn calls this."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    options, engine = settings.load(folder)
    BoundedHttpProtocol.header_seconds = options.header_seconds
    BoundedHttpProtocol.stalled_seconds = options.upload_seconds
    return create_app(pickle.loads(engine), options, folder)


@health.get("/healthz", summary="Whether the process runs")
async def healthz() -> dict[str, str]:
    """Always ``ok``."""
    return {"status": "ok"}


@health.get("/readyz", summary="Whether the models are loaded")
async def readyz(request: Request) -> Response:
    """Status 503 until requests can be answered, and while the server shuts down."""
    if not request.app.state.ready:
        return problem(503, "not_ready", "the models are loading")
    return Response('{"status":"ready"}', media_type="application/json")


@health.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def metrics_page() -> Response:
    """Requests, durations, batches, streams and jobs, in Prometheus' text format."""
    return metrics.render()


@health.get("/v1/info", summary="Version, detector and limits of the server")
async def info(request: Request) -> dict[str, Any]:
    """What a client may want to know before it sends pictures."""
    options: ServerSettings = request.app.state.settings
    return {
        "version": __version__,
        "detector": request.app.state.analyzer.engines.main.detector.name,
        "detectors": request.app.state.analyzer.engines.detectors(),
        "attributes": list(ATTRIBUTES) if ATTRIBUTE_MODEL.is_file() else [],
        "default_attributes": list(request.app.state.analyzer.engines.main.attributes),
        "max_bytes": options.max_bytes,
        "max_pixels": options.max_pixels,
        "max_pictures": options.max_pictures,
        "max_video_bytes": options.max_video_bytes,
        "max_video_seconds": options.max_video_seconds,
    }


@health.get("/", include_in_schema=False)
async def start(request: Request) -> Response:
    return RedirectResponse(request.app.state.start_page)


@health.get("/docs", include_in_schema=False)
async def docs_page() -> Response:
    return FileResponse(STATIC / "docs.html")


@health.get("/docs/{name}", include_in_schema=False)
async def docs_file(name: str) -> Response:
    if name not in ("docs.js", "docs.css"):
        raise HTTPException(404)
    return FileResponse(STATIC / name)


@health.post("/v1/session", summary="Exchange the token for a cookie, for browsers")
async def session(request: Request) -> Response:
    """The body is the token. The cookie serves pages of this server only, until the browser is
    closed."""
    token: str | None = request.app.state.settings.token
    given = (await request.body()).decode("utf-8", "replace").strip()
    if token is not None and not same(given, token):
        guard: Any = _guard_of(request)
        return problems.response(guard.failed(request.scope))
    answer = Response(status_code=204)
    if token is not None:
        answer.set_cookie(
            COOKIE, session_value(token), httponly=True, samesite="strict", path="/",
            secure=request.url.scheme == "https",
        )  # fmt: skip
    return answer


def _guard_of(request: Request) -> Guard:
    guard: Guard = request.scope["fastfer.guard"]
    return guard


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(FastferError)
    async def known(_: Request, error: FastferError) -> Response:
        return problems.response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = str(first["loc"][-1])[:40]
        return problem(422, "out_of_range", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        codes = {404: "not_found", 405: "usage"}
        code = codes.get(error.status_code, "usage")
        return problem(error.status_code, code, str(error.detail))

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # Nobody reads it; without it a traceback is logged.

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> Response:
        return problem(500, "error", f"internal error: {type(error).__name__}")
