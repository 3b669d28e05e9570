"""Expression networks exported by fastfer's training, among them the bundled one."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.classifiers.base import (
    PROBABILITY_TOLERANCE,
    Classifier,
    Predictions,
    check_batch,
    check_output,
)
from fastfer.classifiers.contract import Head, ModelContract
from fastfer.errors import ModelError, UsageError
from fastfer.inference.onnx_session import (
    Session,
    describe,
    pick_threads,
    read_model,
)
from fastfer.priors import Prior, prior_shares, reweighted
from fastfer.validation import check_path

INT8_MODEL: Final = Path(__file__).parents[1] / "models" / "expression.onnx"
"""The bundled model, quantised to INT8."""
FLOAT32_MODEL: Final = INT8_MODEL.with_name("expression_float32.onnx")
"""The bundled model in float32, which packages for x86-64 lack."""

CHUNK: Final = 64
"""Faces per run: beyond 8 the time per face no longer falls, and memory grows by 1 MB per face."""

_ADVICE: Final = "Pass an .onnx file of python -m training.expression.export."


class EmotionClassifier(Classifier):
    """A model exported by fastfer's training, loaded once; thread-safe."""

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        head: Head | None = None,
        prior: Prior | None = None,
    ) -> None:
        """Load an ONNX file with the metadata of :mod:`fastfer.classifiers.contract`.

        Args:
            model: path of the file; ``None`` for the bundled model, see :func:`bundled`.
            threads: threads of the runtime; ``None`` for the processors that the affinity mask and
                the cgroup quota grant, at most
                :data:`~fastfer.inference.onnx_session.DEFAULT_MAX_THREADS`.
            head: output of a model with two heads: ``"ferplus"``, trained on FER+ votes, or
                ``"fer2013"``, trained on FER-2013's labels, for comparison with the literature;
                ``None`` for the model's default.
            prior: how frequent each emotion is among the faces: see :data:`fastfer.priors.Prior`.
                ``None`` keeps the prior of the file.

        Raises:
            ModelError: the file is missing, not ONNX, or violates the contract.
            UsageError: ``threads`` or a share of ``prior`` is out of range; the model has no output
                ``head`` (code ``unknown_head``), or does not state its prior, or the given one does
                not exist (code ``unknown_prior``).
        """
        if model is not None:
            check_path(model=model)
        self.path = bundled() if model is None else Path(model)
        self.threads = pick_threads(threads)
        source = str(self.path)
        advice = "Reinstall fastfer." if model is None else _ADVICE
        if self.path == FLOAT32_MODEL:
            advice = "Packages for x86-64 hold expression.onnx alone; a clone has both."
        self._session = Session(read_model(self.path, advice), source, self.threads, advice)
        metadata = self._session.metadata
        self.contract = ModelContract.from_metadata(metadata, source)
        self._output = self.contract.output_for(head, source)
        self._input = _check_graph(self._session, self.contract, self._output, source)
        self._columns = [self.emotions.index(name) for name in self.contract.labels]
        self._ratios = {} if prior is None else self._find_ratios(prior)

    def predict(self, batch: ArrayLike) -> NDArray[np.float32]:
        return self._predict(batch, [self._output])[0][self._output]

    def classify(self, batch: ArrayLike) -> Predictions:
        heads, likeness = self._predict(batch, [self._output], self.contract.likeness)
        return Predictions(heads[self._output], likeness)

    def predict_heads(self, batch: ArrayLike) -> dict[str, NDArray[np.float32]]:
        """As :meth:`predict` for every output in ``contract.outputs``, by name, in a single run."""
        return self._predict(batch, list(self.contract.outputs))[0]

    def _find_ratios(self, prior: Prior) -> dict[str, NDArray[np.float32]]:
        """For each output the ratio of ``prior`` to its own prior, (len(labels),)."""
        contract = self.contract
        if self._output not in contract.priors:
            raise UsageError(
                f"{self.path}: a prior was given, but the file does not state that of its output "
                f"{self._output!r}. Export the network again with python -m training.export.",
                code="unknown_prior",
            )
        level = None if contract.level_prior is None else tuple(contract.level_prior)
        wanted = prior_shares(prior, contract.labels, level)
        return {
            name: (wanted / np.array(own)).astype(np.float32)
            for name, own in contract.priors.items()
        }

    def _predict(
        self, batch: ArrayLike, names: list[str], likeness: str = ""
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32] | None]:
        """Probabilities (N, C) of the outputs ``names``, and (N,) of the output ``likeness``."""
        faces = check_batch(batch, self.contract)
        rows: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
        wanted = [*names, likeness] if likeness else names
        odds: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        for start in range(0, len(faces), CHUNK):
            feed = {self._input: np.ascontiguousarray(faces[start : start + CHUNK])}
            count = len(feed[self._input])
            outputs = self._session.run(wanted, feed, _ADVICE)
            if likeness:
                values = outputs.pop()
                check_output(values, (count, 1), likeness, str(self.path))
                odds.append(values[:, 0])
            for name, values in zip(names, outputs, strict=True):
                rows[name].append(self._probabilities(values, count, name))
        heads = {name: self._all_emotions(parts) for name, parts in rows.items()}
        return heads, np.concatenate(odds) if likeness else None

    def _all_emotions(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(N, C) from chunks with the columns of the model's labels."""
        if len(parts) == 1 and len(self._columns) == len(self.emotions):
            return parts[0]
        result = np.zeros((sum(map(len, parts)), len(self.emotions)), np.float32)
        if parts:
            result[:, self._columns] = np.concatenate(parts)
        return result

    def _probabilities(
        self, values: NDArray[np.float32], count: int, name: str
    ) -> NDArray[np.float32]:
        """``values`` of the output ``name``, checked to be ``count`` probability distributions.

        Few NumPy calls: after a network has filled the caches, each costs about 10 µs.

        Raises:
            ModelError: code ``not_probabilities``; ``invalid_model`` for another shape.
        """
        if values.shape == (count, len(self.contract.labels)):
            low, high, sums = values.min(), values.max(), values.sum(axis=1)
            if (
                low >= -PROBABILITY_TOLERANCE
                and sums.min() >= 1 - PROBABILITY_TOLERANCE
                and sums.max() <= 1 + PROBABILITY_TOLERANCE
            ):
                if low < 0 or high > 1:
                    values = np.clip(values, 0, 1)
                ratio = self._ratios.get(name)
                return values if ratio is None else reweighted(values, ratio)
        check_output(values, (count, len(self.contract.labels)), name, str(self.path))
        if low < -PROBABILITY_TOLERANCE or high > 1 + PROBABILITY_TOLERANCE:
            found = f"has values from {low:.3g} to {high:.3g}, probably logits"
        else:
            found = f"has rows that sum to {sums[np.abs(sums - 1).argmax()]:.4g}"
        raise ModelError(
            f"{self.path}: output {name!r} is not a probability distribution: it {found}. End the "
            "graph with a softmax, as python -m training.expression.export does.",
            code="not_probabilities",
        )


def bundled() -> Path:
    """The bundled model in the precision that is faster on this machine.

    On x86-64 with VNNI, INT8 takes about 0.3 of the time of float32
    (``benchmarks/bench_network.py``), and packages hold INT8 alone. Other architectures have not
    been measured and use float32 if it is installed.
    """
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return INT8_MODEL if x86 or not FLOAT32_MODEL.is_file() else FLOAT32_MODEL


def _check_graph(session: Session, contract: ModelContract, output: str, source: str) -> str:
    """Name of the input.

    Raises:
        ModelError: the input or ``output`` has another shape than the contract implies.
    """
    size, classes = contract.input_size, len(contract.labels)
    inputs = session.inputs
    if len(inputs) != 1 or not _fits(inputs[0], (None, size, size, contract.channels)):
        raise ModelError(
            f"{source}: inputs are {describe(inputs)}; expected one float32 input "
            f"(N, {size}, {size}, {contract.channels}) with free N. {_ADVICE}"
        )
    outputs = {node.name: node for node in session.outputs}
    if output not in outputs or not _fits(outputs[output], (None, classes)):
        raise ModelError(
            f"{source}: outputs are {describe(outputs.values())}; expected a float32 output "
            f"{output!r} (N, {classes}) with free N. {_ADVICE}"
        )
    likeness = contract.likeness
    if likeness and (likeness not in outputs or not _fits(outputs[likeness], (None, 1))):
        raise ModelError(
            f"{source}: outputs are {describe(outputs.values())}; expected a float32 output "
            f"{likeness!r} (N, 1) with free N, as metadata says. {_ADVICE}"
        )
    return str(inputs[0].name)


def _fits(node: Any, shape: tuple[int | None, ...]) -> bool:
    """Whether a graph's input or output is float32 of ``shape``, with ``None`` for free sides."""
    have = tuple(side if isinstance(side, int) else None for side in node.shape)
    return bool(node.type == "tensor(float)" and have == shape)
