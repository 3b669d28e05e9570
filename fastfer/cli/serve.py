"""The command ``fastfer serve``: an HTTP server for programs."""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fastfer.cli import arguments, terminal
from fastfer.cli.arguments import integer, number, positive
from fastfer.errors import UsageError

if TYPE_CHECKING:
    from fastfer.server.settings import ServerSettings

PACKAGES: Final = (
    "fastapi",
    "uvicorn",
    "httptools",
    "websockets",
    "multipart",
    "prometheus_client",
)
MEGA: Final = 1 << 20

EPILOG: Final = f"""\
examples:
  fastfer serve                                  listen on http://127.0.0.1:8000
  curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' localhost:8000/v1/analyze
  FASTFER_TOKEN=... fastfer serve --host 0.0.0.0 --workers 4

The page /docs describes all requests, with examples.

{arguments.EXIT_CODES}"""


def make_parser(prog: str = "fastfer serve") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = arguments.CommandParser(
        prog=prog,
        usage="%(prog)s [OPTION ...]",
        description="Answer HTTP requests with the expressions in pictures, videos and streams.",
        epilog=EPILOG,
    )
    arguments.add_version(parser)
    add_server_options(parser, port=8000)
    arguments.add_engine_options(parser)
    return parser


def add_server_options(parser: argparse.ArgumentParser, port: int) -> None:
    """Add the options of :func:`server_settings`."""
    group = parser.add_argument_group("address")
    group.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; any other than this machine's needs a token (default: "
        "127.0.0.1)",
    )
    group.add_argument(
        "--port",
        type=integer(0, 65535),
        default=port,
        metavar="N",
        help=f"port to listen on; 0 chooses a free one (default: {port})",
    )
    group.add_argument(
        "--token",
        metavar="SECRET",
        help="require this secret of 16 characters or more in every request; FASTFER_TOKEN in the "
        "environment does the same and is not shown in lists of processes",
    )
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="accept requests to this name too, as behind a proxy; may be repeated",
    )
    group.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin, such as https://example.org, call the server (CORS)",
    )
    group.add_argument(
        "--workers", type=integer(1, 64), default=1, metavar="N", help="processes (default: 1)"
    )
    limits = parser.add_argument_group("limits")

    def limit(name: str, kind: object, default: float, metavar: str, text: str) -> None:
        limits.add_argument(
            name, type=kind, default=default, metavar=metavar,  # type: ignore[arg-type]
            help=f"{text} (default: {default:,})",
        )  # fmt: skip

    limit("--max-mb", integer(1), 32, "N", "megabytes of a request with pictures")
    limit("--max-pixels", integer(1), 50_000_000, "N", "pixels of one picture")
    limit("--max-pictures", integer(1), 32, "N", "pictures of one request")
    limit("--max-requests", integer(1), 64, "N", "requests in progress in each worker")
    limit("--max-streams", integer(1), 4, "N", "WebSocket streams of each worker")
    limit("--max-video-mb", integer(1), 512, "N", "megabytes of one video")
    limit("--max-video-seconds", positive, 600, "S", "seconds of one video")
    limit("--max-jobs", integer(1), 1, "N", "videos analysed at the same time")
    limit("--max-waiting", integer(1), 8, "N", "videos that may wait for their turn")
    limit("--keep-seconds", positive, 900, "S", "seconds for which results of a video are kept")
    limit("--upload-seconds", positive, 60, "S", "seconds for pictures to arrive, or to read on")
    limit("--header-seconds", positive, 10, "S", "seconds for the head of a request")
    limit("--batch", integer(1, 256), 16, "N", "most pictures analysed together")
    limit("--batch-wait-ms", number(0, 1000), 2, "MS", "longest wait for pictures of other clients")
    limits.add_argument(
        "--isolate",
        action=argparse.BooleanOptionalAction,
        help="decode pictures in processes of their own, which a hostile file cannot leave "
        "(default: on if other machines can reach the server)",
    )


def server_settings(args: argparse.Namespace, extra: str = "serve") -> ServerSettings:
    """The settings that the options ask for.

    Raises:
        UsageError: values that contradict each other, or a missing package.
    """
    check_packages(PACKAGES, extra)
    from fastfer.server.settings import LOOPBACK, ServerSettings

    return ServerSettings(
        host=args.host,
        port=args.port,
        token=args.token or os.environ.get("FASTFER_TOKEN") or None,
        workers=args.workers,
        allow_hosts=tuple(args.allow_host),
        allow_origins=tuple(args.allow_origin),
        max_bytes=args.max_mb * MEGA,
        max_pixels=args.max_pixels,
        max_pictures=args.max_pictures,
        max_requests=args.max_requests,
        max_streams=args.max_streams,
        max_video_bytes=args.max_video_mb * MEGA,
        max_video_seconds=args.max_video_seconds,
        max_jobs=args.max_jobs,
        max_waiting_jobs=args.max_waiting,
        job_ttl=args.keep_seconds,
        header_seconds=args.header_seconds,
        upload_seconds=args.upload_seconds,
        batch=args.batch,
        batch_wait_ms=args.batch_wait_ms,
        isolate=args.host not in LOOPBACK if args.isolate is None else args.isolate,
    )


def check_packages(packages: Sequence[str], extra: str) -> None:
    """Refuse to start without the packages of an extra.

    Raises:
        UsageError: code ``missing_package``.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f'{extra} needs {", ".join(missing)}: pip install "fastfer[{extra}]"',
            code="missing_package",
        )


def main(argv: Sequence[str] | None = None, prog: str = "fastfer serve") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(make_parser(prog).parse_args(argv)))


def _run(args: argparse.Namespace) -> int:
    options = server_settings(args)
    from fastfer.server.run import run_server
    from fastfer.server.settings import private_folder

    engine = arguments.make_engine(args)
    engine.reader  # noqa: B018 - an unusable model ends the command here.
    with terminal.terminable(), private_folder() as folder:
        run_server(
            engine,
            options,
            folder,
            on_listening=lambda url: terminal.say(f"listening on {url}; {url}/docs describes it"),
        )
    return 0
