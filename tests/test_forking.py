"""Children of os.fork(): inherited models and videos, locks held by threads, and the exit."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer import forking
from tests.helpers.clips import moving_face, write_video
from tests.helpers.commands import environment, python
from tests.helpers.onnx_models import write_model

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

LIMIT = 90
"""Seconds after which a process is considered to hang; they take two."""
ROOT = Path(__file__).resolve().parents[1]
IN_PARENT = (
    f"""
import sys
sys.path.append({str(ROOT)!r})  # Behind the package under test, which may be installed.
"""
    + """
import atexit, os, threading, warnings
import numpy as np
import fastfer
from tests.helpers.pictures import astronaut

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads at a fork.
model, clip = sys.argv[1:]
# Large enough that networks and OpenCV use all their threads.
frame = np.ascontiguousarray(np.tile(astronaut(), (2, 2, 1)))

def child(use=lambda: None):
    "Fork, and require that the child ends by itself, as a process that nobody forked does."
    number = os.fork()
    if number == 0:
        atexit.register(lambda: print("handlers of Python run", file=sys.stderr))
        use()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 7
"""
)
CASES = {
    "an engine": """
engine = fastfer.Engine(model=model, threads=2)
want = engine.analyze(frame).faces
def use():
    assert engine.analyze(frame).faces == want
child(use)
child()
assert engine.analyze(frame).faces == want
""",
    "an engine that still loads": """
engine = fastfer.Engine(load_in_background=True)
def use():
    assert len(engine.analyze(frame)) == 4
child(use)
use()
""",
    "a detector and a classifier without an engine": """
detector = fastfer.create_detector("nano", threads=2)
classifier = fastfer.EmotionClassifier(model, threads=2)
batch = np.zeros_like(classifier.batch(64))
boxes, rows = detector.detect(frame).boxes, classifier.predict(batch)
def use():
    assert (detector.detect(frame).boxes == boxes).all()
    assert (classifier.predict(batch) == rows).all()
child(use)
child()
""",
    "a stream": """
engine = fastfer.Engine(model=model)
stream = fastfer.stream(clip, engine=engine)
next(stream)
def use():
    try:
        while True:
            next(stream)
    except fastfer.InputError as error:
        assert error.code == "source_unavailable"
    again = list(fastfer.stream(clip, engine=engine))
    assert len(again) == 90
child(use)
child()
assert len(list(stream)) == 89
""",
    "frames of a stream": """
import gc
from av.video.frame import VideoFrame
from fastfer.io.prefetch import PrefetchSource
from tests.helpers.waiting import wait_until
stream = fastfer.stream(clip, engine=fastfer.Engine(model=model))
next(stream)
def frames():
    return [value for value in gc.get_objects() if type(value) is VideoFrame]
(source,) = (value for value in gc.get_objects() if type(value) is PrefetchSource)
wait_until(source._queue.full)  # The thread that decodes then waits for the consumer.
count = len(frames())
assert count > 4
def use():
    global stream
    del stream
    gc.collect()
    # Freeing one takes a lock that a thread of the decoder may have held at the fork.
    assert len(frames()) >= count
child(use)
assert len(list(stream)) == 89
""",
    "a stream that was not iterated": """
stream = fastfer.stream(clip, engine=fastfer.Engine(model=model))
assert stream.source.count == 90
def use():
    try:
        next(stream)
    except fastfer.InputError as error:
        assert error.code == "source_unavailable"
child(use)
child()
assert len(list(stream)) == 90
""",
    "a camera": """
from fastfer.io.cameras import LiveSource
from tests.helpers.cameras import FakeCamera, opener
camera = LiveSource(opener(FakeCamera()), "fake", first_delay=0.01)
frames = iter(camera)
next(frames)
def use():
    try:
        while True:
            next(frames)
    except fastfer.InputError as error:
        assert error.code == "source_unavailable"
    camera.close()
child(use)
child()
next(frames)
camera.close()
""",
    "a tracker": """
tracker = fastfer.Tracker(fastfer.Engine(model=model))
tracker.update(frame)
def use():
    assert len(tracker.update(frame)) == 4
child(use)
use()
""",
    "threads that analyse": """
engine = fastfer.Engine(model=model, threads=2)
want = engine.analyze(frame).faces
ended = threading.Event()
def work():
    while not ended.is_set():
        engine.analyze(frame)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
def use():
    assert engine.analyze(frame).faces == want
for _ in range(5):
    child(use)
ended.set()
for thread in threads:
    thread.join()
""",
    "a child of a child": """
engine = fastfer.Engine(model=model, threads=2)
want = engine.analyze(frame).faces
def use():
    assert engine.analyze(frame).faces == want
child(lambda: (use(), child(use)))
""",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A random network, and a clip of 90 frames, more than is read ahead."""
    folder = tmp_path_factory.mktemp("files")
    clip = write_video(folder / "clip.mp4", moving_face(90))
    return write_model(folder / "random.onnx"), clip


@pytest.mark.parametrize("case", CASES)
def test_a_forked_child_works_and_ends(files: tuple[Path, Path], case: str) -> None:
    done = python("-c", IN_PARENT + CASES[case], *files, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert "handlers of Python run" in done.stderr


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_opencv_has_no_threads_while_a_process_forks() -> None:
    code = """
import os, time
counts = []

def threads():
    "Waits for those that have ended: the system lists them a little longer."
    least = 1000
    for _ in range(20):
        least = min(least, len(os.listdir("/proc/self/task")))
        time.sleep(0.01)
    return least

os.register_at_fork(before=lambda: counts.append(threads()))  # Those of fastfer come before it.
import cv2, numpy as np
import fastfer
frame = np.zeros((2000, 2000, 3), np.uint8)
engine = fastfer.Engine(threads=1)
engine.analyze(frame)
cv2.setNumThreads(1)
without = threads()
cv2.setNumThreads(3)
cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
added = threads() - without  # 0 where OpenCV was built without threads of its own.
number = os.fork()
if number == 0:
    cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    os._exit(7 if threads() == 1 + added else 1)
assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 7
assert counts == [without], (counts, without)
cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
assert threads() == without + added
"""
    # The library of NumPy ends its own threads at a fork, too.
    done = python("-c", code, timeout=LIMIT, env=environment(OPENBLAS_NUM_THREADS="1"))
    assert done.returncode == 0, done.stderr


def test_a_fork_waits_for_threads_that_are_inside_opencv() -> None:
    inside = threading.Event()
    done: list[str] = []

    def work() -> None:
        with forking.using_opencv():
            inside.set()
            for _ in range(20):
                cv2.GaussianBlur(np.zeros((500, 500), np.uint8), (31, 31), 0)
            done.append("the block")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(LIMIT)
    child = os.fork()
    if child == 0:
        os._exit(len(done))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    thread.join()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs the threads in /proc")
def test_a_fork_waits_for_the_end_of_threads_that_python_already_takes_for_ended() -> None:
    """There OpenCV holds a lock, which the child would inherit."""
    libc = ctypes.CDLL(None)
    key = ctypes.c_uint()
    assert libc.pthread_key_create(ctypes.byref(key), libc.usleep) == 0

    def work() -> None:
        with forking.using_opencv():
            # At its end, the thread calls usleep(300_000).
            libc.pthread_setspecific(key, ctypes.c_void_p(300_000))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    there = Path(f"/proc/self/task/{thread.native_id}")
    assert there.exists()
    child = os.fork()
    if child == 0:
        os._exit(0)
    assert not there.exists()
    os.waitpid(child, 0)
    libc.pthread_key_delete(key)


def test_what_forks_inside_opencv_does_not_wait_for_itself() -> None:
    with forking.using_opencv(), forking.using_opencv():
        child = os.fork()
        if child == 0:
            os._exit(0)
    os.waitpid(child, 0)
    with forking.using_opencv():
        pass
