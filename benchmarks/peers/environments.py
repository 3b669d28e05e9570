"""Virtual environments of the peers, made once and kept in a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.peers.peers import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[2]
DONE = "installed.txt"
"""Written last: what was installed."""
BASE = ("pip", "setuptools", "wheel", "_distutils_hack", "pkg_resources", "distutils-precedence")
"""Beginnings of names in site-packages that every environment has."""


def default_cache() -> Path:
    """``fastfer/peers`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastfer" / "peers"


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def prepare(name: str, cache: Path, wheel: Path | None) -> Path:
    """The interpreter of environment ``name``, which is made unless it exists.

    Raises:
        subprocess.CalledProcessError: pip failed.
    """
    folder = cache / name
    wanted = _description(name, wheel)
    marker = folder / DONE
    if not marker.is_file() or marker.read_text(encoding="utf-8") != wanted:
        print(f"installing {name} into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        for arguments in ENVIRONMENTS[name]:
            named = [a.format(fastfer=wheel or ROOT) for a in arguments]
            force = ["--force-reinstall"] if wheel and "{fastfer}" in arguments else []
            command: list[str] = [
                str(python_of(folder)),
                "-m",
                "pip",
                "install",
                "--quiet",
                *force,
                *named,
            ]
            subprocess.run(command, check=True)
        marker.write_text(wanted, encoding="utf-8")
    return python_of(folder)


def _description(name: str, wheel: Path | None) -> str:
    """What the environment was made from; a difference makes it again."""
    own = any("{fastfer}" in arguments for arguments in ENVIRONMENTS[name])
    file = (wheel.name, wheel.stat().st_mtime) if own and wheel else None
    return repr([file, ENVIRONMENTS[name]])


def installed_mb(python: Path) -> float:
    """Size of an environment's packages, without pip and setuptools, in MB."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    packages = Path(done.stdout.strip())
    return (
        sum(
            path.stat().st_size
            for entry in packages.iterdir()
            if not entry.name.startswith(BASE)
            for path in ([entry] if entry.is_file() else entry.rglob("*"))
            if path.is_file() and path.suffix != ".pyc"
        )
        / 1e6
    )


def versions(python: Path) -> list[str]:
    """What pip lists, as ``name==version``."""
    command = [str(python), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.split() if not line.startswith(BASE)]
