"""What happens to models, videos and threads in a child of ``os.fork()``.

A fork copies the calling thread alone, but all memory: the child holds models and decoders whose
threads do not exist. Using or freeing them waits for these threads forever, and so do the exit
handlers of ONNX Runtime. Therefore

- a fork waits for the background threads of fastfer that load something;
- a fork waits for the threads that are inside :func:`using_opencv`, and for the true end of those
  that were: the child would inherit the lock of their thread-local storage;
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
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    _opencv.note(thread)


@contextmanager
def using_opencv() -> Iterator[None]:
    """For threads that call OpenCV: forks in other threads wait for the end of the block, and for
    the end of the thread if it has begun."""
    me = threading.get_native_id()
    with _opencv.changed:
        outermost = me not in _opencv.inside
        if outermost:
            _opencv.changed.wait_for(lambda: not _opencv.forking, MOST)
            _opencv.inside.add(me)
            _opencv.note(threading.current_thread())
    try:
        yield
    finally:
        if outermost:
            with _opencv.changed:
                _opencv.inside.discard(me)
                _opencv.changed.notify_all()


class _OpenCVThreads:
    """The threads that call OpenCV, by their native identifiers."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside: set[int] = set()
        self.users: dict[int, threading.Thread] = {}
        self.forking = 0

    def note(self, thread: threading.Thread) -> None:
        """Forks wait for the end of ``thread`` if it has begun."""
        self.users[thread.native_id or 0] = thread
        if len(self.users) > 64:
            self.forget_ended()

    def before_fork(self) -> None:
        """Wait until none is inside OpenCV or about to end."""
        me = threading.get_native_id()
        with self.changed:
            self.forking += 1
            self.changed.wait_for(lambda: self.inside <= {me}, MOST)
            deadline = time.monotonic() + MOST
            while self.forget_ended() and time.monotonic() < deadline:
                time.sleep(0.001)

    def after_fork_in_parent(self) -> None:
        """Let the others go on."""
        with self.changed:
            self.forking = max(0, self.forking - 1)  # Ctrl-C may have ended before_fork().
            self.changed.notify_all()

    def forget_ended(self) -> bool:
        """Forget the threads that ended. Returns whether there are some that ended for Python, but
        not for the operating system: there they free what OpenCV keeps for them."""
        ended = [number for number, thread in list(self.users.items()) if not thread.is_alive()]
        ending = [number for number in ended if Path(f"/proc/self/task/{number}").exists()]
        for number in set(ended).difference(ending):
            self.users.pop(number, None)
        return bool(ending)


def _before() -> None:
    for thread in list(_threads):
        if thread is not threading.current_thread() and thread.is_alive():
            thread.join()
    _opencv.before_fork()
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


def _in_parent() -> None:
    _restore_opencv_threads()
    _opencv.after_fork_in_parent()


def _in_child() -> None:
    global _opencv
    _opencv = _OpenCVThreads()  # Other threads may have held its lock.
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


MOST: Final = 10.0
"""Seconds that a fork and threads wait for each other; a detector may wait for another thread."""
_opencv = _OpenCVThreads()
_opencv_threads: Final[list[int]] = []
"""How many there were at the forks that have begun."""
_owners: Final[WeakSet[Forkable]] = WeakSet()
_threads: Final[WeakSet[threading.Thread]] = WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
