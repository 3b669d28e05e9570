"""Fills the generated parts of the documentation when MkDocs builds it.

==============================  =====================================================
``<!-- cli -->``                help text of every command, from its parser
``<!-- csv-columns -->``        the columns of CSV files and their pandas dtypes
``<!-- table-columns -->``      the columns of Parquet files and their Arrow types
``<!-- error-classes -->``      the classes of :mod:`fastfer.errors`
``<!-- error-codes -->``        their codes
``<!-- networks -->``           rows of the bundled networks, from their manifest
``<!-- include PATH -->``       a Markdown file of the repository without its first heading
``<!-- include-code PATH -->``  a file of the repository, inside a code block
==============================  =====================================================
"""

from __future__ import annotations

import html
import io
import os
import re
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
RUNTIME: Final = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
"""Files of onnxruntime-web that the demo page loads."""
_ROLE: Final = re.compile(r":(?:class|func|meth|attr|data|mod|exc|obj):<code>([^<]+)</code>")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs with the text of each page."""
    for name, generate in GENERATORS.items():
        marker = f"<!-- {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, generate())
    markdown = re.sub(r"<!-- include (\S+) -->", lambda m: _include(m[1]), markdown)
    return re.sub(r"<!-- include-code (\S+) -->", lambda m: _read(m[1]).rstrip(), markdown)


def on_post_build(config: Any, **_: Any) -> None:
    """Called by MkDocs at the end: puts runtime and models next to the demo page, if npm has
    installed the runtime in docs/demo."""
    runtime = ROOT / "docs/demo/node_modules/onnxruntime-web/dist"
    if not runtime.is_dir():
        return
    demo = Path(config["site_dir"]) / "demo"
    for folder, source, names in (
        ("ort", runtime, RUNTIME),
        ("models", ROOT / "fastfer/models", ("nano.onnx", "refiner.onnx", "expression.onnx")),
    ):
        (demo / folder).mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(source / name, demo / folder / name)


def on_page_content(content: str, **_: Any) -> str:
    """Called by MkDocs with the HTML of each page: links the references of docstrings."""
    return _ROLE.sub(lambda m: _reference(m[1], content), content)


def _reference(target: str, page: str) -> str:
    """HTML of ``:class:`target```: a link where the page documents the name."""
    target = html.unescape(target)
    text = target.removeprefix("~").rsplit(".", 1)[-1] if target.startswith("~") else target
    name = target.removeprefix("~").rsplit(".", 1)[-1]
    code = f"<code>{html.escape(text)}</code>"
    anchor = re.search(rf'id="(fastfer\.(?:\w+\.)?{re.escape(name)})"', page)
    return f'<a href="#{anchor[1]}">{code}</a>' if anchor else code


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _include(path: str) -> str:
    return re.sub(r"\A# .*\n", "", _read(path))


def _commands() -> str:
    from fastfer.cli.main import COMMANDS

    return "\n\n".join(f"## fastfer {name}\n\n```text\n{_help(name)}```" for name in COMMANDS)


def _help(name: str) -> str:
    from fastfer.cli.main import main

    os.environ["COLUMNS"] = "80"
    text = io.StringIO()
    with redirect_stdout(text), suppress(SystemExit):
        main([name, "--help"])
    return text.getvalue()


def _csv_columns() -> str:
    from fastfer import CSV_DTYPES

    rows = "\n".join(f"| `{name}` | {dtype} |" for name, dtype in CSV_DTYPES.items())
    return f"| column | pandas dtype |\n| --- | --- |\n{rows}"


def _table_columns() -> str:
    from fastfer.labels import ATTRIBUTES
    from fastfer.outputs.parquet_schema import schema

    fields = schema(ATTRIBUTES)
    rows = "\n".join(f"| `{field.name}` | {html.escape(str(field.type))} |" for field in fields)
    return f"| column | Arrow type |\n| --- | --- |\n{rows}"


def _error_classes() -> str:
    from fastfer import errors

    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    rows = "\n".join(
        f"| `{c.__name__}` | `{c.code}` | {c.exit_code} | {(c.__doc__ or '').splitlines()[0]} |"
        for c in classes
        if issubclass(c, errors.FastferError)
    )
    return f"| class | default code | exit code | meaning |\n| --- | --- | ---: | --- |\n{rows}"


def _error_codes() -> str:
    from fastfer.errors import CODES

    rows = "\n".join(f"| `{code}` | {meaning} |" for code, meaning in CODES.items())
    return f"| code | meaning |\n| --- | --- |\n{rows}"


def _networks() -> str:
    from fastfer.models import manifest

    return "\n".join(
        f"| `{name}` | {model.data} | {model.terms} |" for name, model in manifest.read().items()
    )


GENERATORS: Final[dict[str, Callable[[], str]]] = {
    "cli": _commands,
    "csv-columns": _csv_columns,
    "table-columns": _table_columns,
    "error-classes": _error_classes,
    "error-codes": _error_codes,
    "networks": _networks,
}
