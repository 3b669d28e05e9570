"""The expression network in ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer import cpus
from fastfer.errors import FrameError, ModelError, UsageError
from fastfer.labels import EMOTIONS
from fastfer.models.contract import ModelContract

if TYPE_CHECKING:
    import onnxruntime

BUNDLED: Final = Path(__file__).parent / "models" / "fer2013_simple.onnx"
"""The network that comes with the package."""

CHUNK: Final = 64
"""Faces per call of the runtime: past 8 the time per face no longer falls, while memory grows by
about a megabyte a face."""

MAX_THREADS: Final = 4
"""Threads unless told otherwise: a network this small gains nothing from more."""


class EmotionClassifier:
    """One network, loaded once; :meth:`predict` may be called from many threads at a time."""

    def __init__(
        self, model: str | os.PathLike[str] | None = None, threads: int | None = None
    ) -> None:
        """Load ``model``, an ONNX file that honours :mod:`fastfer.models.contract`.

        Args:
            model: path of the file; ``None`` takes the bundled network.
            threads: threads of the runtime; ``None`` takes the processors that the affinity mask
                and the cgroup quota grant, at most :data:`MAX_THREADS`.

        Raises:
            ModelError: the file is missing, not ONNX, or does not honour the contract.
            UsageError: ``threads`` is below 1.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be 1 or more; got {threads}.")
        self.path = BUNDLED if model is None else Path(model)
        self.threads = threads or min(cpus.available(), MAX_THREADS)
        self._session = _open_session(self.path, self.threads, bundled=model is None)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.contract = ModelContract.from_metadata(metadata, str(self.path))
        self._input, self._output = _check_graph(self._session, self.contract, str(self.path))

    def predict(self, batch: ArrayLike) -> NDArray[np.float32]:
        """Probabilities of the seven emotions for every face.

        Args:
            batch: (N, S, S, 1) float32 as :func:`fastfer.preprocess.pack_faces` makes it with this
                model's ``contract`` (size S, scale, bias). N may be 0.

        Returns:
            (N, 7) float32 in the order of :data:`fastfer.labels.EMOTIONS`; rows add up to 1.

        Raises:
            FrameError: ``batch`` has another shape or dtype.
        """
        faces = np.asarray(batch)
        size = self.contract.input_size
        if faces.ndim != 4 or faces.shape[1:] != (size, size, 1) or faces.dtype != np.float32:
            raise FrameError(
                f"batch must be (N, {size}, {size}, 1) float32; got shape {faces.shape}, "
                f"{faces.dtype}. Make it with pack_faces(frame, boxes, size={size})."
            )
        result = np.empty((len(faces), len(EMOTIONS)), np.float32)
        for start in range(0, len(faces), CHUNK):
            part = slice(start, start + CHUNK)
            feed = {self._input: np.ascontiguousarray(faces[part])}
            result[part] = self._session.run([self._output], feed)[0]
        return result


def _open_session(path: Path, threads: int, *, bundled: bool) -> onnxruntime.InferenceSession:
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        advice = "Reinstall fastfer." if bundled else "Give the path of an .onnx file."
        raise ModelError(f"model {path} {what}. {advice}")

    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads wait for the next call at full load: they would eat the time of the detector.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # Whatever matters comes as an exception.
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The runtime's own classes share no public base but this one.
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"model {path} cannot be loaded as ONNX: {reason} "
            "Give an .onnx file made by python -m training.export."
        ) from error


def _check_graph(
    session: onnxruntime.InferenceSession, contract: ModelContract, source: str
) -> tuple[str, str]:
    """Names of the input and the default output, once both have the shapes the contract implies."""
    size, classes = contract.input_size, len(contract.labels)
    inputs = session.get_inputs()
    if len(inputs) != 1 or not _fits(inputs[0], (None, size, size, contract.channels)):
        raise ModelError(
            f"{source}: inputs {_describe(inputs)}; one float32 input of shape "
            f"(N, {size}, {size}, {contract.channels}) with N free is needed."
        )
    outputs = {output.name: output for output in session.get_outputs()}
    name = next(iter(contract.outputs))
    if name not in outputs or not _fits(outputs[name], (None, classes)):
        raise ModelError(
            f"{source}: outputs {_describe(outputs.values())}; a float32 output {name!r} of shape "
            f"(N, {classes}) with N free is needed."
        )
    return inputs[0].name, name


def _fits(node: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether a graph's input or output is float32 of ``shape``, where ``None`` must be free."""
    have = tuple(side if isinstance(side, int) else None for side in node.shape)
    return bool(node.type == "tensor(float)" and have == shape)


def _describe(nodes: Any) -> str:
    return ", ".join(f"{n.name} {n.type} {tuple(n.shape)}" for n in nodes) or "none"
