"""The command ``fastfer image``: analyse photos."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastfer.cli import arguments, terminal
from fastfer.cli.arguments import STDOUT, column_groups, integer
from fastfer.cli.limit_options import add_limit_options, make_limits
from fastfer.cli.privacy_options import add_privacy_options, make_privacy_filter
from fastfer.errors import BoxError, FastferError, InputError, OutputError, UsageError
from fastfer.io.addresses import hide_passwords
from fastfer.io.isolated_decoder import IsolatedDecoder
from fastfer.io.photos import (
    STDIN,
    SUFFIXES,
    LoadedPhoto,
    Photo,
    as_input_error,
    find_photos,
    read_photos,
)

if TYPE_CHECKING:
    from fastfer.display.window import Window
    from fastfer.engine import Engine, Rotate
    from fastfer.io.encoded_image import Frame
    from fastfer.outputs.annotated_images import AnnotatedImageWriter
    from fastfer.outputs.base import Output
    from fastfer.results import PhotoResult

EPILOG = f"""\
examples:
  fastfer image photo.jpg                        print a table of faces
  fastfer image photos/ --recursive --save out/  save annotated copies
  fastfer image *.jpg --json > faces.jsonl       write one JSON object per photo
  curl -s https://example.org/a.jpg | fastfer image -

{arguments.EXIT_CODES}"""


def make_parser(prog: str = "fastfer image") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = arguments.CommandParser(
        prog=prog,
        usage="%(prog)s [OPTION ...] [PATH ...]",
        description="Find faces in photos and classify their expressions.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a picture, a directory, a pattern such as '**/*.jpg', or - for standard input",
    )
    arguments.add_version(parser)

    source = parser.add_argument_group("input")
    source.add_argument(
        "--demo", action="store_true", help="analyse a portrait from scikit-image instead of PATH"
    )
    source.add_argument(
        "--recursive", action="store_true", help="include the subdirectories of directories"
    )
    source.add_argument(
        "--rotate",
        choices=["auto"],
        help="search photos without a certain face also on their sides and upside down",
    )
    arguments.add_engine_options(parser)

    output = parser.add_argument_group("output")
    arguments.add_row_options(output)
    output.add_argument(
        "--json", action="store_true", help="short for --jsonl -, in place of the table"
    )
    output.add_argument("--save", type=Path, metavar="DIR", help="save annotated copies")
    output.add_argument("--show", action="store_true", help="show each photo in a window")
    output.add_argument(
        "--legend",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="name the colours in a band below pictures whose faces have strips (default: yes)",
    )
    arguments.add_top2(output)
    output.add_argument(
        "--top",
        type=integer(1, 7),
        default=1,
        metavar="K",
        help="emotions per face in the table (default: 1)",
    )
    add_limit_options(parser, "pictures", isolate=False)
    add_privacy_options(parser)
    return parser


def parse(argv: Sequence[str] | None, prog: str = "fastfer image") -> argparse.Namespace:
    """Parse and check the options; exits with code 2 on an error."""
    parser = make_parser(prog)
    args = parser.parse_args(argv)
    if bool(args.paths) == args.demo:
        parser.error("pass one PATH or more, or --demo")
    if args.json and args.jsonl:
        parser.error("--json is --jsonl -; remove one of them")
    if args.json:
        args.jsonl = STDOUT
    if args.jsonl == args.csv == STDOUT:
        parser.error("only one of --json, --jsonl - and --csv - can use standard output")
    arguments.check_excel(parser, args)
    if args.paths.count(STDIN) > 1:
        parser.error("standard input (-) can be read only once")
    return args


def main(argv: Sequence[str] | None = None, prog: str = "python -m fastfer.image") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(parse(argv, prog)))


def _run(args: argparse.Namespace) -> int:
    limits = make_limits(args)
    if args.demo:
        photos = [Photo("astronaut")]
    else:
        notes: list[str] = []
        photos = find_photos(args.paths, recursive=args.recursive, notes=notes)
        for note in notes:
            terminal.say(note)
    names = [photo.name for photo in photos]
    _check_outputs(args, names)
    with ExitStack() as stack:
        # Before the models load, which then happens while its process starts.
        decoder = stack.enter_context(IsolatedDecoder(limits)) if args.isolate else None
        engine = arguments.make_engine(args)
        if args.demo:
            loads = _load_demo(photos[0])
        else:
            loads = read_photos(
                photos,
                limits=limits,
                min_side=engine.detection_size,
                gray=engine.detects_in_gray,
                decoder=decoder,
                skip_annotated=args.save is not None,
            )
        return _analyze_all(args, engine, names, loads)


def _analyze_all(
    args: argparse.Namespace, engine: Engine, names: list[str], loads: Iterator[LoadedPhoto]
) -> int:
    """Analyse the photos and write all outputs; returns the exit code."""
    code = passed_over = 0
    outputs: _Outputs | None = None
    privacy = make_privacy_filter(args)
    with ExitStack() as stack:
        progress = stack.enter_context(terminal.Progress(len(names)))
        window = _open_window(args)
        for loaded in loads:
            if loaded.annotated:
                passed_over += 1
                progress.advance()
                continue
            result, frame = _analyze(engine, loaded, args.rotate)
            if result.result is not None and frame is not None:
                frame = privacy.image(frame, result.result)
                result = replace(result, result=privacy.result(result.result))
            if outputs is None:
                # First the model: a refused one must not truncate the files of an earlier run.
                engine.classifier  # noqa: B018
                outputs = _open_outputs(args, names, stack)
            with progress.aside():
                result = outputs.write(result, frame)
                for problem in filter(None, (result.error, result.warning)):
                    terminal.say(problem)
            if result.error is not None:
                code = InputError.exit_code
            elif args.save is not None and result.saved_as is None:
                code = code or OutputError.exit_code
            if frame is not None and window is not None:
                window = window if window.show(result, frame, **_drawing(args)) else None
            progress.advance()
        if outputs is None:
            outputs = _open_outputs(args, names, stack)
        outputs.finish()
    if passed_over:
        terminal.say(f"passed over {passed_over} annotated copies of an earlier run")
    return code


def _analyze(
    engine: Engine, loaded: LoadedPhoto, rotate: Rotate | None
) -> tuple[PhotoResult, Frame | None]:
    """The result of one photo, and its pixels unless it failed."""
    from fastfer.results import PhotoResult  # Imports NumPy, which --help does not need.

    name, error = hide_passwords(loaded.photo.name), loaded.error
    if error is None:
        try:
            if loaded.encoded is not None:
                image = loaded.encoded
                result, frame = engine.analyze_encoded(image, rotate=rotate)
                return PhotoResult(name, result, warning=_warning(name, image.warning)), frame
            assert loaded.frame is not None
            result = engine.analyze(loaded.frame, reduced=loaded.reduced, rotate=rotate)
            result = result.with_stage_time("read", loaded.read_ms)
            warning = _warning(name, loaded.warning)
            return PhotoResult(name, result, warning=warning), loaded.frame
        except (BoxError, InputError, MemoryError) as caught:  # The next photo may do.
            error = as_input_error(name, caught)
        except FastferError:  # Of the model, say.
            raise
        except Exception as caught:
            error = as_input_error(name, caught)
    return PhotoResult(name, None, hide_passwords(str(error)), error.code), None


def _warning(name: str, warning: str | None) -> str | None:
    return None if warning is None else f"{name}: {warning}"


def _load_demo(photo: Photo) -> Iterator[LoadedPhoto]:
    """A public-domain portrait by NASA, from scikit-image."""
    try:
        from skimage.data import astronaut
    except ImportError:
        raise UsageError(
            '--demo needs scikit-image: pip install "fastfer[demo]"', code="missing_package"
        ) from None
    pixels: Frame = astronaut()[:, :, ::-1].copy()  # type: ignore[no-untyped-call]
    yield LoadedPhoto(photo, frame=pixels)


class _Outputs:
    """All outputs of the command."""

    def __init__(
        self, saver: AnnotatedImageWriter | None, others: list[Output[PhotoResult]]
    ) -> None:
        self._saver = saver
        self._others = others

    def write(self, result: PhotoResult, frame: Frame | None) -> PhotoResult:
        """Write one result; returns it with what saving its copy added."""
        if self._saver is not None:  # First: rows name the copy, and a closed pipe loses none.
            result = self._saver.save(result, frame)
        for output in self._others:
            output.write(result, frame)
        return result

    def finish(self) -> None:
        """See :meth:`Output.finish`."""
        for output in self._others:
            output.finish()


def _open_outputs(args: argparse.Namespace, names: list[str], stack: ExitStack) -> _Outputs:
    """All requested outputs; ``stack`` closes them."""
    saver: AnnotatedImageWriter | None = None
    outputs: list[Output[PhotoResult]] = []
    if args.save:
        from fastfer.outputs.annotated_images import AnnotatedImageWriter

        saver = AnnotatedImageWriter(args.save, names, paths=args.paths, **_drawing(args))
    if args.jsonl:
        from fastfer.outputs.jsonl import JsonLinesWriter

        outputs.append(JsonLinesWriter(args.jsonl))
    if args.csv:
        from fastfer.outputs.csv_rows import CsvWriter

        outputs.append(CsvWriter(args.csv, excel=args.excel, attributes=column_groups(args)))
    if STDOUT not in (args.jsonl, args.csv) and not (
        terminal.stdout_is_closed() and (saver or outputs)
    ):
        from fastfer.outputs.table import TableWriter

        stream = terminal.stdout_for_people()
        outputs.append(
            TableWriter(stream, names, top=args.top, lang=args.lang, attributes=args.attributes)
        )
    for output in outputs:
        stack.callback(output.close)
    return _Outputs(saver, outputs)


def _drawing(args: argparse.Namespace) -> dict[str, Any]:
    """How faces are drawn."""
    return {"lang": args.lang, "legend": args.legend, "top2": args.top2}


def _check_outputs(args: argparse.Namespace, names: list[str]) -> None:
    """Refuse rows that would overwrite a photo, as in ``--csv *.jpg``, or each other."""
    from fastfer.outputs.paths import check_new, check_outputs, check_row_suffixes

    rows = {"--jsonl": args.jsonl, "--csv": args.csv}
    for option, path in rows.items():
        if path is not None and Path(path).suffix.lower() in SUFFIXES:
            raise UsageError(
                f"{option} {path}: would overwrite a picture; name the output file first, as in "
                f"{option} faces{option.replace('--', '.')}",
                code="would_overwrite",
            )
    check_row_suffixes(rows)
    inputs = [name for name in names if name != STDIN]
    check_outputs(rows, [*inputs, *filter(None, [args.model])])
    if not args.overwrite:
        check_new(rows)


def _open_window(args: argparse.Namespace) -> Window | None:
    if not args.show:
        return None
    from fastfer.display.window import Window

    window = Window.open()
    if window is None:
        terminal.say("--show: no display available; continuing without a window")
    return window


if __name__ == "__main__":
    terminal.leave(main())
