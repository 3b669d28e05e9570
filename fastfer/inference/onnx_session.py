"""Sessions of ONNX Runtime: options, threads and errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastfer import forking
from fastfer.errors import ModelError
from fastfer.inference import cpus, runtime
from fastfer.io.file_kinds import is_file, is_folder
from fastfer.validation import check_integer

if TYPE_CHECKING:
    import onnxruntime

DEFAULT_MAX_THREADS: Final = 4
"""Upper limit of the default: networks this small do not scale further."""
_MOST_BYTES: Final = 2 << 30
"""No ONNX file without external data is larger."""
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
    if is_folder(path):
        raise ModelError(f"model {path} is a directory. {advice}", code="is_directory")
    if not is_file(path):
        raise ModelError(f"model {path} does not exist. {advice}", code="not_found")
    if path.stat().st_size > _MOST_BYTES:
        raise ModelError(f"model {path} has more than {_MOST_BYTES:,} bytes. {advice}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror}. {advice}") from None


class Session:
    """A network on the CPU. It is thread-safe; a forked child and the receiver of a pickle open it
    again on first use."""

    def __init__(
        self, data: bytes, name: str, threads: int, advice: str = "Pass another .onnx file."
    ) -> None:
        """Open the ONNX file ``name`` with the bytes ``data``.

        Raises:
            ModelError: not ONNX, or not supported by the runtime; the message ends with ``advice``.
        """
        self.name = name
        self.threads = threads
        self._data = data
        self._advice = advice
        self._opened: onnxruntime.InferenceSession | None = self._open()
        forking.register(self)

    @property
    def inputs(self) -> list[Any]:
        """The graph's inputs, with ``name``, ``type`` and ``shape``."""
        return list(self._session.get_inputs())

    @property
    def outputs(self) -> list[Any]:
        """The graph's outputs, with ``name``, ``type`` and ``shape``."""
        return list(self._session.get_outputs())

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the file.

        Raises:
            ModelError: it is not UTF-8.
        """
        try:
            return dict(self._session.get_modelmeta().custom_metadata_map)
        except UnicodeDecodeError:
            raise ModelError(
                f"model {self.name}: its metadata is not UTF-8. {self._advice}"
            ) from None

    def run(
        self, names: Sequence[str], feed: Mapping[str, Any], advice: str | None = None
    ) -> list[Any]:
        """The outputs ``names`` for the inputs ``feed``.

        Raises:
            ModelError: the run failed, for instance because the graph contains a fixed shape; the
                message ends with ``advice``, by default that of the constructor.
        """
        try:
            outputs: list[Any] = self._session.run(list(names), dict(feed))
        except Exception as error:  # The only public base of the runtime's exceptions.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"model {self.name} failed: {reason} {advice or self._advice}"
            ) from error
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        forking.register(self)

    def after_fork(self) -> None:
        """See :mod:`fastfer.forking`."""
        forking.keep_forever(self._opened)
        self._opened = None

    @property
    def _session(self) -> onnxruntime.InferenceSession:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> onnxruntime.InferenceSession:
        ort = runtime.onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Spinning threads wait for the next run at full load and would slow other threads down.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # Errors are raised as well.
        try:
            session: onnxruntime.InferenceSession = ort.InferenceSession(
                self._data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # The only public base of the runtime's exceptions.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"model {self.name} cannot be loaded as ONNX: {reason} {self._advice}"
            ) from error
        return session


def describe(nodes: Iterable[Any]) -> str:
    """Names, types and shapes of a graph's inputs or outputs, for messages."""
    return ", ".join(f"{node.name} {node.type} {tuple(node.shape)}" for node in nodes) or "none"
