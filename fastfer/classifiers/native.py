"""The expression network in ONNX Runtime."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.classifiers.contract import Labels, ModelContract
from fastfer.errors import FrameError, ModelError, UsageError
from fastfer.inference.onnx_session import (
    describe,
    open_session,
    pick_threads,
    read_model,
    run_session,
)
from fastfer.kernels.pack import pack_faces
from fastfer.labels import EMOTIONS

if TYPE_CHECKING:
    import onnxruntime

    from fastfer.classifiers.custom import ModelSpec

INT8_MODEL: Final = Path(__file__).parents[1] / "models" / "expression.onnx"
"""The network that comes with the package, in INT8."""
FLOAT32_MODEL: Final = INT8_MODEL.with_name("expression_float32.onnx")
"""The same in float32."""

CHUNK: Final = 64
"""Faces per call of the runtime: past 8 the time per face no longer falls, while memory grows by
about a megabyte a face."""
PROBABILITY_TOLERANCE: Final = 1e-3
"""How far probabilities may miss 0, and their sum 1: what rounding in a graph can make."""

_ADVICE: Final = "Give an .onnx file made by python -m training.export."


class EmotionClassifier:
    """One network, loaded once; :meth:`predict` may be called from many threads at a time."""

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        labels: Labels | None = None,
    ) -> None:
        """Load ``model``, an ONNX file that honours :mod:`fastfer.classifiers.contract`.

        Args:
            model: path of the file; ``None`` takes the :func:`bundled` network.
            threads: threads of the runtime; ``None`` takes the processors that the affinity mask
                and the cgroup quota grant, at most :data:`fastfer.inference.onnx_session.DEFAULT_MAX_THREADS`.
            labels: which reading of a face to take from a network that learnt two: ``"crowd"``,
                the votes of many, or ``"fer2013"``, the labels that the literature compares by;
                ``None`` takes the network's own choice.

        Raises:
            ModelError: the file is missing, not ONNX, or does not honour the contract.
            UsageError: ``threads`` is below 1, or the network has no reading by ``labels``.
        """
        self.path = bundled() if model is None else Path(model)
        self.threads = pick_threads(threads)
        advice = "Reinstall fastfer." if model is None else _ADVICE
        data = read_model(self.path, advice)
        self._session = open_session(data, str(self.path), self.threads, advice)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.contract = ModelContract.from_metadata(metadata, str(self.path))
        self._output = self.contract.output_for(labels, str(self.path))
        self._input = _check_graph(self._session, self.contract, self._output, str(self.path))
        self._places = [EMOTIONS.index(name) for name in self.contract.labels]

    def batch(self, count: int) -> NDArray[np.float32]:
        """Room for ``count`` faces, to be filled by :meth:`pack`."""
        size = self.contract.input_size
        return np.empty((count, size, size, self.contract.channels), np.float32)

    def pack(
        self,
        frame: NDArray[np.uint8],
        crops: NDArray[np.float32],
        angles: ArrayLike | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Cut ``crops`` (N, 4) out of ``frame`` as this network wants them.

        ``angles`` and ``out`` are those of :func:`fastfer.kernels.pack.pack_faces`, and so are the
        errors.
        """
        contract = self.contract
        return pack_faces(
            frame,
            crops,
            size=contract.input_size,
            scale=contract.scale,
            bias=contract.bias,
            angles=angles,
            out=out,
        )

    def predict(self, batch: ArrayLike) -> NDArray[np.float32]:
        """Probabilities of the seven emotions for every face.

        Args:
            batch: (N, S, S, 1) float32 as :func:`fastfer.kernels.pack.pack_faces` makes it with this
                model's ``contract`` (size S, scale, bias). N may be 0.

        Returns:
            (N, 7) float32 in the order of :data:`fastfer.labels.EMOTIONS`; rows add up to 1, and
            emotions that the network does not know have 0.

        Raises:
            FrameError: ``batch`` has another shape or dtype, or values that are not finite.
            ModelError: what the network gives for it are no probabilities.
        """
        return self._predict(batch, [self._output])[self._output]

    def predict_all(self, batch: ArrayLike) -> dict[str, NDArray[np.float32]]:
        """The same of each of the network's outputs, by the names in ``contract.outputs``: all its
        readings of a face in the time of one. The errors are those of :meth:`predict`."""
        return self._predict(batch, list(self.contract.outputs))

    def _predict(self, batch: ArrayLike, names: list[str]) -> dict[str, NDArray[np.float32]]:
        faces = check_batch(batch, self.contract)
        rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
        for start in range(0, len(faces), CHUNK):
            feed = {self._input: np.ascontiguousarray(faces[start : start + CHUNK])}
            outputs = run_session(self._session, names, feed, str(self.path), _ADVICE)
            for name, values in zip(names, outputs, strict=True):
                rows[name].append(self._probabilities(values, len(feed[self._input]), name))
        return {name: self._of_all_emotions(parts) for name, parts in rows.items()}

    def _of_all_emotions(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(N, 7) from the columns of the emotions that the network knows."""
        if len(parts) == 1 and len(self._places) == len(EMOTIONS):
            return parts[0]
        result = np.zeros((sum(map(len, parts)), len(EMOTIONS)), np.float32)
        if parts:
            result[:, self._places] = np.concatenate(parts)
        return result

    def _probabilities(
        self, values: NDArray[np.float32], count: int, name: str
    ) -> NDArray[np.float32]:
        """``values`` of the output ``name``, or ModelError unless they are ``count`` rows of the
        contract's classes, each from 0 to 1 and all of a row 1 together: nothing in a file's
        metadata can promise that.

        Few calls of NumPy, for with caches full of a network's weights each costs its 10 us.
        """
        if values.shape == (count, len(self.contract.labels)):
            low, high, sums = values.min(), values.max(), values.sum(axis=1)
            if (
                low >= -PROBABILITY_TOLERANCE
                and sums.min() >= 1 - PROBABILITY_TOLERANCE
                and sums.max() <= 1 + PROBABILITY_TOLERANCE
            ):
                return values if low >= 0 and high <= 1 else np.clip(values, 0, 1)
        check_output(values, (count, len(self.contract.labels)), name, str(self.path))
        if low < -PROBABILITY_TOLERANCE or high > 1 + PROBABILITY_TOLERANCE:
            found, guess = f"values from {low:.3g} to {high:.3g}", " They look like logits."
        else:
            worst = sums[np.abs(sums - 1).argmax()]
            found, guess = f"rows that add up to {worst:.4g}", ""
        raise ModelError(
            f"{self.path}: its output {name!r} gave {found}, not probabilities, which are "
            f"0 to 1 and add up to 1.{guess} Let the graph end with a softmax, as python -m "
            "training.expression.export does."
        )


def check_output(
    values: NDArray[np.float32], shape: tuple[int, int], name: str, source: str
) -> None:
    """ModelError unless the output ``name`` of ``source`` has this shape and is finite."""
    if values.shape != shape:
        raise ModelError(
            f"{source}: its output {name!r} gave shape {values.shape}, not {shape}. {_ADVICE}"
        )
    if not np.isfinite(values).all():
        raise ModelError(
            f"{source}: its output {name!r} gave values that are not finite (NaN or infinite). The "
            f"file is damaged, or its training failed. {_ADVICE}"
        )


def bundled() -> Path:
    """The network that comes with the package, in the precision that is faster here.

    Measured by ``benchmarks/bench_network.py``: on x86-64 with VNNI, INT8 takes 0.3 of the time of
    float32. Nobody has measured it without VNNI yet, nor on other processors, which therefore
    compute in float32.
    """
    return INT8_MODEL if platform.machine().lower() in ("x86_64", "amd64") else FLOAT32_MODEL


def check_batch(batch: ArrayLike, contract: ModelContract) -> NDArray[np.float32]:
    """``batch`` as an array; FrameError unless it is finite and has the shape and type that
    ``contract`` says."""
    faces = np.asarray(batch)
    size, channels = contract.input_size, contract.channels
    if faces.ndim != 4 or faces.shape[1:] != (size, size, channels) or faces.dtype != np.float32:
        raise FrameError(
            f"batch must be (N, {size}, {size}, {channels}) float32; got shape {faces.shape}, "
            f"{faces.dtype}. Make it with pack_faces(frame, boxes, size={size})."
        )
    if not np.isfinite(faces).all():
        raise FrameError("batch must be finite; it has values that are not (NaN or infinite).")
    return faces


def open_classifier(
    model: str | os.PathLike[str] | None,
    threads: int | None = None,
    spec: ModelSpec | None = None,
    labels: Labels | None = None,
) -> EmotionClassifier:
    """The bundled network, one made for fastfer, or (where ``spec`` describes it, or its metadata
    lacks fastfer's contract) any other.

    Raises:
        ModelError: it cannot be used.
        UsageError: ``threads`` is below 1, ``spec`` describes the bundled network, or the network
            has no reading by ``labels``.
    """
    if model is None:
        if spec is not None:
            raise UsageError("the bundled network needs no description: leave --model-... out.")
        return EmotionClassifier(None, threads, labels)
    if spec is None and b"fastfer.input_size" in read_model(Path(model), _ADVICE):
        return EmotionClassifier(model, threads, labels)
    if labels is not None:
        raise UsageError(
            f"{model}: labels={labels!r} chooses between the readings of a network made for "
            "fastfer; this one has its own."
        )
    from fastfer.classifiers.custom import CustomClassifier

    return CustomClassifier(model, threads, spec)


def _check_graph(
    session: onnxruntime.InferenceSession, contract: ModelContract, output: str, source: str
) -> str:
    """Name of the input, once it and ``output`` have the shapes that the contract implies."""
    size, classes = contract.input_size, len(contract.labels)
    inputs = session.get_inputs()
    if len(inputs) != 1 or not _fits(inputs[0], (None, size, size, contract.channels)):
        raise ModelError(
            f"{source}: inputs {describe(inputs)}; one float32 input of shape "
            f"(N, {size}, {size}, {contract.channels}) with N free is needed."
        )
    outputs = {node.name: node for node in session.get_outputs()}
    if output not in outputs or not _fits(outputs[output], (None, classes)):
        raise ModelError(
            f"{source}: outputs {describe(outputs.values())}; a float32 output {output!r} of "
            f"shape (N, {classes}) with N free is needed."
        )
    return str(inputs[0].name)


def _fits(node: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether a graph's input or output is float32 of ``shape``, where ``None`` must be free."""
    have = tuple(side if isinstance(side, int) else None for side in node.shape)
    return bool(node.type == "tensor(float)" and have == shape)
