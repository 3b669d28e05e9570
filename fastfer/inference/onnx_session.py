"""Opening networks in ONNX Runtime: one way for all of them."""

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
"""Threads unless told otherwise: networks this small gain nothing from more."""
THREAD_LIMIT: Final = 1024
"""Threads that may be asked for: no machine has more use for them, and starting many times as many
takes minutes and memory."""


def pick_threads(threads: int | None) -> int:
    """``threads``, or where it is ``None`` what the affinity mask and the cgroup quota grant, at
    most :data:`DEFAULT_MAX_THREADS`.

    Raises:
        UsageError: not a whole number from 1 to :data:`THREAD_LIMIT`.
    """
    if threads is None:
        return min(cpus.available(), DEFAULT_MAX_THREADS)
    check_integer(threads=(threads, 1, THREAD_LIMIT))
    return int(threads)


def read_model(path: Path, advice: str = "Give the path of an .onnx file.") -> bytes:
    """The bytes of a model file.

    Raises:
        ModelError: it is missing or cannot be read; the message ends with ``advice``.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ModelError(f"model {path} {what}. {advice}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror}. {advice}") from None


def open_session(
    data: bytes, name: str, threads: int, advice: str = "Give another .onnx file."
) -> onnxruntime.InferenceSession:
    """A session on the processor for the ONNX file with the bytes ``data``, called ``name``.

    Raises:
        ModelError: not ONNX, or of a kind that the runtime cannot run; ends with ``advice``.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads wait for the next call at full load: they would eat the time of the others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # Whatever matters comes as an exception.
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The runtime's own classes share no public base but this one.
        reason = str(error).splitlines()[0]
        raise ModelError(f"model {name} cannot be loaded as ONNX: {reason} {advice}") from error


def run_session(
    session: onnxruntime.InferenceSession,
    names: Sequence[str],
    feed: Mapping[str, Any],
    source: str,
    advice: str = "Give another .onnx file.",
) -> list[Any]:
    """The outputs called ``names`` of the network ``source`` for the inputs ``feed``.

    Raises:
        ModelError: the runtime cannot compute it; ends with ``advice``. What a graph insists on
            between its inputs and outputs shows only then.
    """
    try:
        outputs: list[Any] = session.run(list(names), dict(feed))
    except Exception as error:  # The runtime's own classes share no public base but this one.
        reason = str(error).splitlines()[0]
        raise ModelError(f"model {source} failed while it ran: {reason} {advice}") from error
    return outputs


def describe(nodes: Iterable[Any]) -> str:
    """A graph's inputs or outputs for a message: name, type and shape of each."""
    return ", ".join(f"{node.name} {node.type} {tuple(node.shape)}" for node in nodes) or "none"
