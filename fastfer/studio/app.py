"""The server with the studio's pages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from fastfer.outputs.report import WEB
from fastfer.server import app as server_app

STATIC: Final = Path(__file__).parent / "static"
CARDS: Final = Path(__file__).parents[1] / "models"
SHARED: Final = ("timeline.js", "timeline.css")
"""Files that reports use too."""

router = APIRouter(prefix="/studio", include_in_schema=False)


@router.get("/shared/{name}")
async def shared(name: str) -> Response:
    if name not in SHARED:
        raise HTTPException(404)
    return FileResponse(WEB / name, headers={"cache-control": "no-cache"})


@router.get("/cards/{name}")
async def card(name: str) -> Response:
    if name not in ("expression", "nano", "attributes"):
        raise HTTPException(404)
    return PlainTextResponse((CARDS / f"{name}.md").read_text(encoding="utf-8"))


def from_environment() -> FastAPI:
    """The application of a worker process; uvicorn calls this."""
    app = server_app.from_environment()
    app.include_router(router)
    app.mount("/studio", StaticFiles(directory=STATIC, html=True), name="studio")
    app.state.start_page = "/studio/"
    return app


FACTORY: Final = f"{__name__}:{from_environment.__name__}"
"""For :func:`fastfer.server.run.run_server`."""
