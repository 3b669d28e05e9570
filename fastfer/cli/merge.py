"""The command ``fastfer merge``: join tables of ``fastfer batch``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fastfer.cli import arguments, terminal

EPILOG = f"""\
examples:
  fastfer merge part-*.parquet --out faces.parquet
  fastfer merge faces/ --out faces.parquet

{arguments.EXIT_CODES}"""


def make_parser(prog: str = "fastfer merge") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = arguments.CommandParser(
        prog=prog,
        usage="%(prog)s [OPTION ...] TABLE ... --out TABLE",
        description="Join tables of fastfer batch --shard into one.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "tables", nargs="+", metavar="TABLE", help="files of one format, or folders of Parquet"
    )
    arguments.add_version(parser)
    parser.add_argument("--out", required=True, metavar="TABLE", help=".parquet, .csv or .jsonl")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing table")
    return parser


def main(argv: Sequence[str] | None = None, prog: str = "fastfer merge") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(make_parser(prog).parse_args(argv)))


def _run(args: argparse.Namespace) -> int:
    from fastfer.batch.merging import merge

    count = merge(args.tables, args.out, overwrite=args.overwrite)
    tables = "1 table" if count == 1 else f"{count} tables"
    print(f"{args.out}: {tables}", file=terminal.stdout_for_people())
    return 0


if __name__ == "__main__":
    terminal.leave(main())
