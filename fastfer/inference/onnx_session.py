"""Sessions of ONNX Runtime: options, threads and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastfer.errors import ModelError
from fastfer.inference import cpus
from fastfer.validation import check_integer

if TYPE_CHECKING:
    import onnxruntime

DEFAULT_MAX_THREADS: Final = 4
"""Upper limit of the default: networks this small do not scale further."""
THREAD_LIMIT: Final = 1024
"""Largest accepted number of threads; far larger ones would take minutes and memory to start."""


def pick_threads(threads: int | None) -> int:
    """``threads``, checked; ``None`` stands for the processors that the affinity mask and the
    cgroup quota grant, at most :data:`DEFAULT_MAX_THREADS`.

    Raises:
        UsageError: not an integer from 1 to :data:`THREAD_LIMIT`.
    """
    if threads is None:
        return min(cpus.available(), DEFAULT_MAX_THREADS)
    check_integer(threads=(threads, 1, THREAD_LIMIT))
    return int(threads)


def read_model(path: Path, advice: str = "Pass the path of an .onnx file.") -> bytes:
    """The bytes of a model file.

    Raises:
        ModelError: the file is missing (code ``not_found``), a directory (``is_directory``) or
            unreadable; the message ends with ``advice``.
    """
    if path.is_dir():
        raise ModelError(f"model {path} is a directory. {advice}", code="is_directory")
    if not path.is_file():
        raise ModelError(f"model {path} does not exist. {advice}", code="not_found")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror}. {advice}") from None


def open_session(
    data: bytes, name: str, threads: int, advice: str = "Pass another .onnx file."
) -> onnxruntime.InferenceSession:
    """A session on the CPU for the ONNX file ``name`` with the bytes ``data``.

    Raises:
        ModelError: not ONNX, or not supported by the runtime; the message ends with ``advice``.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads wait for the next run at full load and would slow other threads down.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # Errors are raised as well.
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The only public base of the runtime's exceptions.
        reason = str(error).splitlines()[0]
        raise ModelError(f"model {name} cannot be loaded as ONNX: {reason} {advice}") from error


def run_session(
    session: onnxruntime.InferenceSession,
    names: Sequence[str],
    feed: Mapping[str, Any],
    source: str,
    advice: str = "Pass another .onnx file.",
) -> list[Any]:
    """The outputs ``names`` of the network ``source`` for the inputs ``feed``.

    Raises:
        ModelError: the run failed, for instance because the graph contains a fixed shape; the
            message ends with ``advice``.
    """
    try:
        outputs: list[Any] = session.run(list(names), dict(feed))
    except Exception as error:  # The only public base of the runtime's exceptions.
        reason = str(error).splitlines()[0]
        raise ModelError(f"model {source} failed: {reason} {advice}") from error
    return outputs


def describe(nodes: Iterable[Any]) -> str:
    """Names, types and shapes of a graph's inputs or outputs, for messages."""
    return ", ".join(f"{node.name} {node.type} {tuple(node.shape)}" for node in nodes) or "none"
