"""What happens to models, videos and threads in a child of ``os.fork()``.

A fork copies the calling thread alone, but all memory: the child holds models and decoders whose
threads do not exist. Using or freeing them waits for these threads forever, and so do the exit
handlers of ONNX Runtime. Therefore

- a fork waits for the background threads of fastfer that load something;
- the threads of OpenCV's pool end before a fork, and start again when they are needed: the child
  would inherit a lock that one of them holds for a moment before it sleeps;
- the child keeps what it inherited untouched, all objects of PyAV among it: freeing one frame takes
  a lock of its decoder's threads; it loads its own copies of models on first use;
- a video that was open must be opened again in the child: iterating the inherited one raises an
  error;
- handlers that C libraries registered for the end of the process before the fork do not run in the
  child; those of Python do.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any, Final, Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """An object that refers to threads or to objects of libraries that have threads."""

    def after_fork(self) -> None:
        """Forget them, in the child. Other threads may have held any lock at the fork."""


def register(owner: Forkable) -> None:
    """Call ``owner.after_fork()`` in forked children as long as it exists."""
    _owners.add(owner)


def keep_forever(value: Any) -> None:
    """Never free ``value``."""
    from ctypes import py_object, pythonapi

    pythonapi.Py_IncRef(py_object(value))


def finish_before_fork(thread: threading.Thread) -> None:
    """Let forks wait for ``thread``, which ends by itself; the child would inherit its locks, for
    instance of a half import."""
    _threads.add(thread)


def _before() -> None:
    for thread in list(_threads):
        if thread is not threading.current_thread() and thread.is_alive():
            thread.join()
    _opencv_threads.append(_end_opencv_threads() if _owners else 1)


def _end_opencv_threads() -> int:
    """Returns how many there were. While another thread uses them, OpenCV leaves them alone; the
    child then finds a flag set, by which its functions need no other threads."""
    cv2 = sys.modules.get("cv2")
    threads = getattr(cv2, "getNumThreads", lambda: 1)()
    if threads > 1:
        cv2.setNumThreads(1)  # type: ignore[union-attr]
    return int(threads)


def _restore_opencv_threads() -> None:
    threads = _opencv_threads.pop() if _opencv_threads else 1  # Ctrl-C may have ended _before.
    if threads > 1:
        sys.modules["cv2"].setNumThreads(threads)


def _in_child() -> None:
    _restore_opencv_threads()
    _opencv_threads.clear()  # Those of other threads that were about to fork.
    if not _owners:
        return
    _keep_decoders()
    for owner in list(_owners):
        owner.after_fork()
    import ctypes

    # glibc calls the function registered last first, with the exit status.
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):
        libc.on_exit(libc._exit, None)
        libc.on_exit(libc.fcloseall, None)


def _keep_decoders() -> None:
    """Keep what belongs to decoders and encoders of PyAV, wherever it is referred to."""
    av = sys.modules.get("av")
    try:
        kinds = (av.frame.Frame, av.codec.CodecContext, av.container.Container)  # type: ignore[union-attr]
    except AttributeError:  # Not imported, or not wholly: nothing was decoded.
        return
    for value in gc.get_objects():
        # The type, not isinstance: proxies answer that with code of their own.
        if issubclass(type(value), kinds):
            keep_forever(value)


_opencv_threads: Final[list[int]] = []
"""How many there were at the forks that have begun."""
_owners: Final[WeakSet[Forkable]] = WeakSet()
_threads: Final[WeakSet[threading.Thread]] = WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_restore_opencv_threads, after_in_child=_in_child
    )
