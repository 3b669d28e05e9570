"""Fill generated parts of the documentation when MkDocs builds it.

``<!-- cli -->`` becomes the help text of every command, taken from its parser, and
``<!-- include PATH -->`` the text of a file of the repository, without its first heading.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs with the text of each page."""
    markdown = re.sub(r"<!-- include (\S+) -->", lambda m: _include(m[1]), markdown)
    return markdown.replace("<!-- cli -->", _commands()) if "<!-- cli -->" in markdown else markdown


def _include(path: str) -> str:
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.sub(r"\A# .*\n", "", text)


def _commands() -> str:
    from fastfer.cli.main import COMMANDS

    os.environ["COLUMNS"] = "88"
    return "\n\n".join(f"## fastfer {name}\n\n```text\n{_help(name)}```" for name in COMMANDS)


def _help(name: str) -> str:
    from fastfer.cli.main import main

    text = io.StringIO()
    with redirect_stdout(text), suppress(SystemExit):
        main([name, "--help"])
    return text.getvalue()
