"""The command ``fastfer image``: photos in, a table, JSON, CSV or annotated pictures out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from fastfer import __version__
from fastfer.cli import arguments, terminal
from fastfer.errors import InputError, UsageError
from fastfer.inference.onnx_session import THREAD_LIMIT
from fastfer.io.encoded_image import MAX_PIXELS
from fastfer.io.photos import STDIN, SUFFIXES, LoadedPhoto, Photo, find_photos, read_photos
from fastfer.labels import NAMES
from fastfer.results import PhotoResult

if TYPE_CHECKING:
    from fastfer.display.window import Window
    from fastfer.engine import Engine
    from fastfer.io.encoded_image import Frame
    from fastfer.outputs.base import Output

EPILOG = """\
examples:
  fastfer image photo.jpg                        a table of its faces
  fastfer image photos/ --recursive --save out/  annotated copies of a whole archive
  fastfer image *.jpg --json > faces.jsonl       one JSON object for each photo
  curl -s https://example.org/a.jpg | fastfer image -

exit codes: 0 done, also where no face was found; 1 the output could not be written; 2 wrong usage;
3 some input could not be read (all others were done); 4 the model is missing or was refused;
130 interrupted. Results go to standard output, all else to standard error."""


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """The options of the command; ends the process on a wrong one, with exit code 2."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Find the faces in photos and say what their expressions read as.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a picture, a directory, a pattern such as '**/*.jpg', or - for standard input",
    )
    parser.add_argument("--demo", action="store_true", help="analyse a photo that comes along")
    parser.add_argument("--version", action="version", version=f"fastfer {__version__}")

    search = parser.add_argument_group("what to do")
    search.add_argument(
        "--recursive", action="store_true", help="look into the directories of directories too"
    )
    arguments.add_detector(search)
    arguments.add_model(search)
    search.add_argument(
        "--min-face",
        type=_number(0),
        default=0,
        metavar="PX",
        help="report no face smaller than this, and search finely enough to see one as small",
    )
    search.add_argument(
        "--min-quality",
        type=_share,
        default=0.0,
        metavar="Q",
        help="tell no emotion of faces of lower quality: small, blurred, turned away or cut (0 to "
        "1; default: 0)",
    )
    search.add_argument(
        "--threads",
        type=_number(1, THREAD_LIMIT),
        metavar="N",
        help="processors to use (default: all granted)",
    )
    search.add_argument(
        "--max-pixels",
        type=_number(1),
        default=MAX_PIXELS,
        metavar="N",
        help=f"refuse larger pictures before decoding them (default: {MAX_PIXELS:,})",
    )

    output = parser.add_argument_group("what to give")
    output.add_argument(
        "--json", action="store_true", help="JSON Lines on standard output instead of the table"
    )
    output.add_argument(
        "--csv", metavar="FILE", help="also write a CSV file; - for standard output, not the table"
    )
    output.add_argument(
        "--save", type=Path, metavar="DIR", help="also save annotated copies of the photos"
    )
    output.add_argument("--show", action="store_true", help="also show each photo in a window")
    output.add_argument(
        "--top", type=_number(1, 7), default=1, metavar="K", help="emotions per face in the table"
    )
    output.add_argument(
        "--lang", choices=list(NAMES), default="en", help="language of table and pictures"
    )
    args = parser.parse_args(argv)
    if bool(args.paths) == args.demo:
        parser.error("give one PATH or more, or --demo")
    if args.json and args.csv == STDIN:
        parser.error("--json and --csv - both want standard output")
    if args.paths.count(STDIN) > 1:
        parser.error("standard input (-) can be read once only")
    return args


def _share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def _number(low: int, high: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers from ``low`` to ``high``."""

    def parse_number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            limits = f"{low} or more" if high is None else f"{low} to {high}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {limits}")
        return value

    return parse_number


def main(argv: Sequence[str] | None = None, prog: str = "python -m fastfer.image") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(parse(argv, prog)))


def _run(args: argparse.Namespace) -> int:
    if args.max_pixels > MAX_PIXELS:  # OpenCV has a limit too, which it reads when it is loaded.
        os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(args.max_pixels)
    engine = _engine(args)
    photos = (
        [Photo("astronaut")] if args.demo else find_photos(args.paths, recursive=args.recursive)
    )
    if args.csv not in (None, STDIN):
        _refuse_photo(args.csv, [photo.name for photo in photos])
    loads = (
        _demo()
        if args.demo
        else read_photos(photos, max_pixels=args.max_pixels, min_side=engine.detection_size)
    )
    failed = False
    outputs = None
    with ExitStack() as stack:
        progress = stack.enter_context(terminal.Progress(len(photos)))
        window = _window(args)
        for loaded in loads:
            photo, frame = _analyze(engine, loaded, args.max_pixels)
            if outputs is None:
                # A refused model is an error even where no photo needs it, and must not cost the
                # file that an earlier run has written.
                engine.classifier  # noqa: B018
                outputs = _outputs(args, [photo.name for photo in photos], stack)
            with progress.aside():
                if photo.error is not None:
                    failed = True
                    terminal.say(photo.error)
                for output in outputs:
                    output.write(photo, frame)
            if frame is not None and window is not None:
                window = window if window.show(photo, frame, args.lang) else None
            progress.advance()
    return InputError.exit_code if failed else 0


def _engine(args: argparse.Namespace) -> Engine:
    from fastfer.engine import Engine

    arguments.obtain_detector(args)
    # The network loads in the background while OpenCV loads, decodes and searches here.
    engine = Engine(
        args.detector,
        args.model,
        spec=arguments.model_spec(args),
        head=args.head,
        threads=args.threads,
        min_face=args.min_face,
        detect_size=args.detect_size,
        min_quality=args.min_quality,
        load_in_background=True,
    )
    import cv2

    from fastfer.inference import cpus

    cv2.setNumThreads(args.threads or cpus.available())
    return engine


def _analyze(
    engine: Engine, loaded: LoadedPhoto, max_pixels: int
) -> tuple[PhotoResult, Frame | None]:
    """The result of one photo, and its pixels where it could be analysed."""
    name, error = loaded.photo.name, loaded.error
    if error is None:
        import cv2

        try:
            if loaded.encoded is not None:
                result, frame = engine.analyze_encoded(loaded.encoded, max_pixels=max_pixels)
                return PhotoResult(name, result), frame
            if loaded.frame is not None:
                result = engine.analyze(loaded.frame, reduced=loaded.reduced).with_stage_time(
                    "read", loaded.read_ms
                )
                return PhotoResult(name, result), loaded.frame
        except InputError as caught:
            error = caught
        except (MemoryError, cv2.error) as caught:  # Of this photo; the next may be smaller.
            error = InputError(f"{name}: cannot be analysed: {str(caught).strip()}")
    return PhotoResult(name, None, str(error), error.code if error else None), None


def _demo() -> Iterator[LoadedPhoto]:
    """A public-domain portrait by NASA, from scikit-image."""
    try:
        from skimage.data import astronaut
    except ImportError:
        raise UsageError('--demo needs a photo: pip install "fastfer[demo]"') from None
    pixels: Frame = astronaut()[:, :, ::-1].copy()  # type: ignore[no-untyped-call]
    yield LoadedPhoto(Photo("astronaut"), frame=pixels)


def _outputs(
    args: argparse.Namespace, names: list[str], stack: ExitStack
) -> list[Output[PhotoResult]]:
    """All requested outputs, which ``stack`` closes."""
    from fastfer.outputs.csv_rows import CsvWriter
    from fastfer.outputs.jsonl import JsonLinesWriter
    from fastfer.outputs.table import TableWriter

    outputs: list[Output[PhotoResult]] = []
    if args.save:  # First, so that a closed pipe costs no pictures.
        from fastfer.outputs.annotated_images import AnnotatedImageWriter

        outputs.append(AnnotatedImageWriter(args.save, names, lang=args.lang))
    if args.json:
        outputs.append(JsonLinesWriter(STDIN))
    elif args.csv != STDIN:
        stream = terminal.stdout_for_people()
        outputs.append(TableWriter(stream, names, top=args.top, lang=args.lang))
    if args.csv:
        outputs.append(CsvWriter(args.csv))
    for output in outputs:
        stack.callback(output.close)
    return outputs


def _refuse_photo(csv: str, names: list[str]) -> None:
    """Raise :class:`UsageError` where writing ``csv`` would cost a photo, as in ``--csv *.jpg``."""
    photos = {os.path.realpath(name) for name in names if name != STDIN}
    if Path(csv).suffix.lower() in SUFFIXES or os.path.realpath(csv) in photos:
        raise UsageError(
            f"--csv {csv}: this is a picture, or one of the files to read, and would be "
            "overwritten. Name the table first: --csv faces.csv"
        )


def _window(args: argparse.Namespace) -> Window | None:
    if not args.show:
        return None
    from fastfer.display.window import Window

    window = Window.open()
    if window is None:
        terminal.say("--show: there is no display to open a window on; going on without.")
    return window


if __name__ == "__main__":
    terminal.leave(main())
