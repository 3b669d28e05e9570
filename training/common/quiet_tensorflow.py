"""TensorFlow without its start-up messages.

Its libraries report absent GPUs and CPU features on file descriptor 2 before they read any log
level, so the descriptor itself is redirected during the import.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType


def install() -> None:
    """Silence the first import of TensorFlow in this process; without effect if it is loaded."""
    if "tensorflow" not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Passes TensorFlow to a loader that imports it silently.

    It stays after it was asked: to find a package, as a check for missing ones does, is not to
    import it.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _quiet_stderr():
            self._loader.exec_module(module)


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what is written to file descriptor 2; write it after all if an exception leaves."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
        except BaseException:
            buffer.seek(0)
            os.write(saved, buffer.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
