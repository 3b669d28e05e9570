"""--help of the training commands: without the packages that take seconds to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("keras", "tensorflow", "onnx", "matplotlib", "onnxruntime", "pandas", "scipy")
SCRIPT = """
import contextlib, importlib, io, sys
for name in sys.argv[2:]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        importlib.import_module(name).main(["--help"])
    heavy = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
    print(name, "usage" in printed.getvalue(), *heavy)
"""


def commands() -> list[str]:
    """Modules of ``training`` with a ``main(arguments)``."""
    found = []
    for path in sorted((ROOT / "training").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "\ndef main(arguments" in text and "ArgumentParser(" not in text:
            found.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def test_help_imports_nothing_heavy() -> None:
    names = commands()
    assert {"training.expression.train", "training.expression.export"} <= set(names)
    words = [sys.executable, "-c", SCRIPT, ",".join(HEAVY), *names]
    lines = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert lines.splitlines() == [f"{name} True" for name in names]
