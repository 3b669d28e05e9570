"""Initialise a network of fewer channels from a larger one:
``python -m training.expression.channel_pruning LARGE --data FILE --out SMALL.keras``.

Removes from each layer the channels whose removal increases the error of the following layers
least, and refits those layers to the remaining channels by least squares over the faces (He et al.,
Channel Pruning, 2017). A dense layer over the mean of all cells becomes one over the cells if the
small network has such a layer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastfer.cli.arguments import CommandParser
from fastfer.errors import UsageError
from training.common.options import run_command, whole
from training.common.output_files import check_output, new_file

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
# Several times the inputs of the largest layer; one face in four is held out.
FACES, BATCH, PATCHES = 8000, 250, 8
SAME = ("kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.expression.channel_pruning", description=__doc__)
    p.add_argument("large", type=Path, help="run folder or .keras file")
    p.add_argument(
        "--arch", default="fastfer", help="architecture of the small network (default: %(default)s)"
    )
    p.add_argument("--data", required=True, help="faces to fit on: CSV or folder")
    p.add_argument("--skip-bad", action="store_true", help="skip bad rows and images")
    p.add_argument("--seed", type=whole(0), default=0, help="random seed of the sampled faces")
    p.add_argument("--out", type=Path, required=True, help="the .keras file to write")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from training.expression.architectures import build
    from training.expression.data import load_dataset
    from training.expression.face_sources import as_batch
    from training.expression.predictors import KerasPredictor, load_predictor

    check_output("--out", options.out, ".keras")
    predictor = load_predictor(options.large)
    if not isinstance(predictor, KerasPredictor):
        raise UsageError(f"{options.large}: expected a run folder or a .keras file")
    large = predictor.original
    model = build(options.arch, len(predictor.classes), tuple(large.output_names))
    dataset = load_dataset(options.data, skip_bad=options.skip_bad)
    train = dataset.split(dataset.training or "training")
    drawn = np.random.default_rng(options.seed).permutation(len(train))[:FACES]
    prune(model, large, as_batch(train.load(drawn)), f"{options.large} as {options.arch}")
    with new_file(options.out) as file:
        model.save(file)
    print(f"wrote {options.out}")
    return 0


def prune(model: keras.Model, large: keras.Model, faces: Floats, name: str) -> None:
    """Set the weights of ``model`` from those of ``large``, and print the loss of each layer.

    Args:
        model: has the layers of ``large`` with fewer channels.
        large: in float32, not folded.
        faces: (N, 48, 48, 1), on which layers with fewer input channels are refitted; every fourth
            is held out to measure the loss.
        name: of both networks, for messages.

    Raises:
        UsageError: the networks differ in more than channels, or have unsupported layers.
    """
    pairs = _pairs(model, large, name)
    weights = {key: layer.get_weights() for key, (layer, _) in pairs.items()}
    made, read = _channel_sets(large, name)
    # From the end, so that each reader is fitted once, to its remaining outputs.
    for channels in reversed(dict.fromkeys(made[key] for key in pairs)):
        members = [key for key in pairs if made[key] == channels]
        have, keep = (int(layer.weights[0].shape[-1]) for layer in pairs[members[0]])
        if keep == have:
            continue
        if keep > have:
            raise UsageError(f"{name}: {members[0]} has only {have} channels of {keep}")
        readers = [
            _Reader.of(large, key, weights, faces, have)
            for key in pairs
            if read[key] == channels and _is_linear(pairs[key][0])
        ]
        kept = _keep(readers, have, keep)
        lost = ", ".join(f"{100 * reader.fit(kept):.1f} %" for reader in readers)
        print(
            f"{members[0]}: kept {keep} of {have} channels; the layers that read them lose "
            f"{lost} of their variance",
            flush=True,
        )
        for key in members:
            weights[key][:] = [w[..., kept] for w in weights[key]]
    for key, (layer, small) in pairs.items():
        reshaped = _per_cell(weights[key], layer, small)
        shapes = [tuple(w.shape) for w in small.weights]
        if [w.shape for w in reshaped] != shapes:
            raise UsageError(f"{name}: {key} has weights {reshaped[0].shape}, expected {shapes[0]}")
        small.set_weights(reshaped)


def _keep(readers: Sequence[_Reader], have: int, keep: int) -> list[int]:
    """The channels to keep: repeatedly drops the one that costs ``readers`` least."""
    kept = list(range(have))
    eliminations = [_Elimination.of(reader) for reader in readers]
    while len(kept) > keep:
        cheapest = int(np.argmin(sum(elimination.costs() for elimination in eliminations)))
        for elimination in eliminations:
            elimination.drop(cheapest)
        del kept[cheapest]
    return kept


@dataclass
class _Elimination:
    """Least squares of a layer while channels are dropped (Hassibi and Stork, Optimal Brain
    Surgeon, 1993): k channels in each of t taps, f outputs."""

    inverse: Doubles
    """(t, k, t, k) of the covariance."""
    kernel: Doubles
    """(t, k, f), each output scaled by its normalisation."""

    @classmethod
    def of(cls, reader: _Reader) -> _Elimination:
        covariance = reader.covariance
        size = covariance.shape[0] * covariance.shape[1]
        inverse = np.linalg.inv(covariance.reshape(size, size)).reshape(covariance.shape)
        return cls(np.asarray(inverse), reader.kernel * reader.scale)

    def costs(self) -> Doubles:
        """(k,) squared error of dropping each channel, with the others refitted."""
        return np.array(
            [
                np.sum(w * np.linalg.solve(self.inverse[:, i, :, i], w))
                for i, w in enumerate(np.moveaxis(self.kernel, 1, 0))
            ]
        )

    def drop(self, i: int) -> None:
        """Drop channel ``i`` and refit the others."""
        taps = len(self.kernel)
        column = self.inverse[:, :, :, i].reshape(-1, taps)
        block = self.inverse[:, i, :, i]
        self.kernel -= (column @ np.linalg.solve(block, self.kernel[:, i])).reshape(
            self.kernel.shape
        )
        self.inverse -= (column @ np.linalg.solve(block, column.T)).reshape(self.inverse.shape)
        self.kernel = np.delete(self.kernel, i, 1)
        self.inverse = np.delete(np.delete(self.inverse, i, 1), i, 3)


@dataclass
class _Reader:
    """A convolution or dense layer that loses input channels: c of them in each of t taps, f
    outputs."""

    weights: list[Floats]
    """Its kernel (..., c, f) or (t * c, f), and its bias."""
    norm: list[Floats] | None
    """Weights of the normalisation after it: scale, shift, mean, variance."""
    scale: Floats | float
    """(f,) factor of that normalisation."""
    mean: Doubles
    """(t, c) of its input."""
    covariance: Doubles
    """(t, c, t, c), regularised so that it is invertible."""
    held: Doubles
    """The covariance on the held-out faces."""

    @classmethod
    def of(
        cls, large: keras.Model, key: str, weights: dict[str, list[Floats]], faces: Floats, c: int
    ) -> _Reader:
        layer = large.get_layer(key)
        held = np.arange(len(faces)) % 4 == 3
        mean, covariance = _moments(large, layer, faces[~held])
        _, other = _moments(large, layer, faces[held])
        size = len(mean)
        covariance += np.eye(size) * (1e-6 * np.trace(covariance) / size + 1e-12)
        shape = (size // c, c)
        behind = _normalisation(layer)
        norm = weights[behind.name] if behind else None
        scale = norm[0] / np.sqrt(norm[3] + behind.epsilon) if norm else 1.0
        return cls(
            weights[key], norm, scale,
            mean.reshape(shape), covariance.reshape(shape * 2), other.reshape(shape * 2),
        )  # fmt: skip

    @property
    def kernel(self) -> Doubles:
        """(t, c, f)."""
        return self.weights[0].reshape(*self.mean.shape, -1).astype(np.float64)

    def fit(self, kept: list[int]) -> float:
        """Refit to the kept channels; returns the lost share of the outputs' variance on the
        held-out faces."""
        old = self.kernel
        taps, c, f = old.shape
        rows = self.covariance[:, kept].reshape(taps * len(kept), -1)
        part = self.covariance[:, kept][..., kept].reshape(len(rows), len(rows))
        new = np.linalg.solve(part, rows @ old.reshape(-1, f)).reshape(taps, len(kept), f)
        change = -old
        change[:, kept] += new
        moved = np.einsum("tcf,tc->f", change, self.mean)
        sides = self.weights[0].shape[:-2]
        shape = (*sides, len(kept), f) if sides else (taps * len(kept), f)
        self.weights[0] = new.reshape(shape).astype(np.float32)
        if self.norm is not None:
            self.norm[2] = (self.norm[2] + moved).astype(np.float32)
        elif len(self.weights) > 1:
            self.weights[1] = (self.weights[1] - moved).astype(np.float32)
        flat = self.held.reshape(taps * c, -1)
        lost, whole = (
            float(np.sum(k * (flat @ k))) for k in (change.reshape(-1, f), old.reshape(-1, f))
        )
        return lost / whole if whole else 0.0


def _pairs(model: keras.Model, large: keras.Model, name: str) -> dict[str, tuple[Any, Any]]:
    """The layers with weights of both networks, by their name in ``large``."""
    small, given = ([layer for layer in net.layers if layer.weights] for net in (model, large))
    kinds = [
        [(type(layer).__name__, *map(layer.get_config().get, SAME)) for layer in net]
        for net in (small, given)
    ]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{name}: the networks differ in more than their channels")
    return {layer.name: (layer, other) for layer, other in zip(given, small, strict=True)}


def _channel_sets(large: keras.Model, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The set of channels that each layer writes, and that it reads: layers that add or pass on
    keep their channels, a convolution or dense layer starts a new set."""
    from keras import layers as L

    passing = (
        L.InputLayer, L.BatchNormalization, L.ReLU, L.Activation, L.Dropout, L.Add, L.Multiply,
        L.MaxPooling2D, L.AveragePooling2D, L.GlobalAveragePooling2D, L.Flatten,
    )  # fmt: skip
    made: dict[str, str] = {}
    read: dict[str, str] = {}
    for layer in large.layers:
        if not (_is_linear(layer) or isinstance(layer, passing)):
            raise UsageError(
                f"{name}: {layer.name} is a {type(layer).__name__}, which cannot be pruned"
            )
        sources = [made[node.operation.name] for node in layer._inbound_nodes[0].parent_nodes]
        read[layer.name] = sources[0] if sources else layer.name
        made[layer.name] = layer.name if _is_linear(layer) else read[layer.name]
        if len(set(sources)) > 1:
            made, read = (
                {key: sources[0] if value in sources else value for key, value in sets.items()}
                for sets in (made, read)
            )
    return made, read


def _is_linear(layer: Any) -> bool:
    from keras import layers as L

    if isinstance(layer, L.DepthwiseConv2D):
        return False
    return isinstance(layer, L.Dense) or (isinstance(layer, L.Conv2D) and layer.groups == 1)


def _source(layer: Any) -> Any:
    return layer._inbound_nodes[0].parent_nodes[0].operation


def _normalisation(layer: Any) -> Any:
    """The batch normalisation after ``layer``, or None."""
    from keras import layers as L

    behind = [node.operation for node in layer._outbound_nodes]
    sole = len(behind) == 1 and isinstance(behind[0], L.BatchNormalization)
    return behind[0] if sole else None


def _moments(large: keras.Model, layer: Any, faces: Floats) -> tuple[Doubles, Doubles]:
    """Mean (t * c,) and covariance of the input of ``layer``."""
    import keras

    part = keras.Model(large.inputs[0], layer.input)
    rng = np.random.default_rng(0)
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for start in range(0, len(faces), BATCH):
        maps = part(faces[start : start + BATCH], training=False)
        rows = _rows(keras.ops.convert_to_numpy(maps), layer, rng).astype(np.float64)
        count += len(rows)
        total = total + rows.sum(axis=0)
        squares = squares + rows.T @ rows
    mean = total / count
    return mean, squares / count - np.outer(mean, mean)


def _rows(maps: Floats, layer: Any, rng: np.random.Generator) -> Floats:
    """(n, t * c) input patches of ``layer``, several of each face."""
    if maps.ndim == 2:
        return maps
    high, broad = layer.kernel_size
    padded = np.pad(maps, ((0, 0), (high // 2,) * 2, (broad // 2,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (high, broad), axis=(1, 2))
    face = np.repeat(np.arange(len(maps)), PATCHES)
    top, left = (rng.integers(0, side, len(face)) for side in windows.shape[1:3])
    return np.moveaxis(windows[face, top, left], 1, -1).reshape(len(face), -1)


def _per_cell(weights: list[Floats], large: Any, small: Any) -> list[Floats]:
    """Weights (c, f) of a dense layer over the mean of t cells as those (t * c, f) over the
    cells."""
    from keras import layers as L

    rows = small.weights[0].shape[0]
    over_cells = (
        isinstance(small, L.Dense)
        and isinstance(_source(large), L.GlobalAveragePooling2D)
        and isinstance(_source(small), L.Flatten)
        and isinstance(_source(_source(small)), L.AveragePooling2D)
        and rows % len(weights[0]) == 0
    )
    if not over_cells:
        return weights
    cells = rows // len(weights[0])
    return [np.tile(weights[0] / np.float32(cells), (cells, 1)), *weights[1:]]


if __name__ == "__main__":
    sys.exit(main())
