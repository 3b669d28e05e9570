"""A narrower network that begins with the weights of a wider one:
``python -m training.expression.channel_pruning WIDE --arch fastfer --data fer2013.csv --out NARROW.keras``.

Where a layer has fewer channels, those go that cost the layers behind them least, and these are
fitted anew to what is left, by least squares over the faces (He et al., Channel Pruning, 2017). A
dense layer that read the mean of all cells reads each cell instead, where the narrow one lets it.
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

from fastfer.errors import UsageError
from training.common.options import run_command, whole

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
# Several times as many as any layer here has inputs; one in four is held out.
FACES, BATCH, PATCHES = 8000, 250, 8
SAME = ("kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(
        prog="python -m training.expression.channel_pruning", description=__doc__
    )
    p.add_argument("wide", type=Path, help="run folder or .keras file")
    p.add_argument("--arch", default="fastfer", help="of the narrower network (%(default)s)")
    p.add_argument("--data", required=True, help="faces to fit to: CSV or folder")
    p.add_argument("--skip-bad", action="store_true", help="leave bad rows out, do not stop")
    p.add_argument("--seed", type=whole(0), default=0, help="of the faces that are drawn")
    p.add_argument("--out", type=Path, required=True, help="the .keras file to write")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from training.expression.architectures import build
    from training.expression.data import as_batch, load_dataset
    from training.expression.predictors import KerasPredictor, load_predictor

    if options.out.suffix != ".keras":
        raise UsageError(f"--out {options.out}: the name must end in .keras")
    predictor = load_predictor(options.wide)
    if not isinstance(predictor, KerasPredictor):
        raise UsageError(f"{options.wide}: only a Keras network can be cut")
    wide = predictor.original
    model = build(options.arch, len(predictor.classes), tuple(wide.output_names))
    dataset = load_dataset(options.data, skip_bad=options.skip_bad)
    train = dataset.split(dataset.training or "training")
    drawn = np.random.default_rng(options.seed).permutation(len(train))[:FACES]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    narrow(model, wide, as_batch(train.load(drawn)), f"{options.wide} as {options.arch}")
    model.save(options.out)
    print(f"wrote {options.out}")
    return 0


def narrow(model: keras.Model, wide: keras.Model, faces: Floats, name: str) -> None:
    """Give ``model`` the weights of ``wide`` as far as it has room, and print what is lost.

    Args:
        model: the layers of ``wide`` but for the number of their channels.
        wide: in float32, not folded.
        faces: (N, 48, 48, 1), to which layers are fitted that read fewer channels than before;
            every fourth is held out, to tell what is lost.
        name: of both networks in a message.

    Raises:
        UsageError: they differ in more than that, or in layers whose channels are not known here.
    """
    pairs = _pairs(model, wide, name)
    weights = {key: layer.get_weights() for key, (layer, _) in pairs.items()}
    made, read = _channel_sets(wide, name)
    # From the end: what reads channels is fitted once, to those of its outputs that are left.
    for channels in reversed(dict.fromkeys(made[key] for key in pairs)):
        members = [key for key in pairs if made[key] == channels]
        have, keep = (int(layer.weights[0].shape[-1]) for layer in pairs[members[0]])
        if keep == have:
            continue
        if keep > have:
            raise UsageError(f"{name}: {members[0]} has {have} channels, which is less than {keep}")
        readers = [
            _Reader.of(wide, key, weights, faces, have)
            for key in pairs
            if read[key] == channels and _is_linear(pairs[key][0])
        ]
        kept = _keep(readers, have, keep)
        lost = ", ".join(f"{reader.fit(kept):.1%}" for reader in readers)
        print(
            f"{members[0]}: {keep} of {have} channels are kept; the layers that read them lose "
            f"{lost} of their variance",
            flush=True,
        )
        for key in members:
            weights[key][:] = [w[..., kept] for w in weights[key]]
    for key, (layer, own) in pairs.items():
        fitting = _spread(weights[key], layer, own)
        shapes = [tuple(w.shape) for w in own.weights]
        if [w.shape for w in fitting] != shapes:
            raise UsageError(f"{name}: {key} has weights {fitting[0].shape}, the other {shapes[0]}")
        own.set_weights(fitting)


def _keep(readers: Sequence[_Reader], have: int, keep: int) -> list[int]:
    """Which channels to keep: one after the other goes that costs ``readers`` least."""
    kept = list(range(have))
    eliminations = [_Elimination.of(reader) for reader in readers]
    while len(kept) > keep:
        least = int(np.argmin(sum(elimination.costs() for elimination in eliminations)))
        for elimination in eliminations:
            elimination.drop(least)
        del kept[least]
    return kept


@dataclass
class _Elimination:
    """Least squares of a layer over fewer and fewer channels (Hassibi and Stork, Optimal Brain
    Surgeon, 1993): k channels in each of t taps, f outputs."""

    inverse: Doubles
    """(t, k, t, k) of the covariance."""
    kernel: Doubles
    """(t, k, f), each output in units of what its normalisation makes of it."""

    @classmethod
    def of(cls, reader: _Reader) -> _Elimination:
        covariance = reader.covariance
        size = covariance.shape[0] * covariance.shape[1]
        inverse = np.linalg.inv(covariance.reshape(size, size)).reshape(covariance.shape)
        return cls(np.asarray(inverse), reader.kernel * reader.scale)

    def costs(self) -> Doubles:
        """(k,) the squared error that leaving out each channel adds, the others fitted anew."""
        return np.array(
            [
                np.sum(w * np.linalg.solve(self.inverse[:, i, :, i], w))
                for i, w in enumerate(np.moveaxis(self.kernel, 1, 0))
            ]
        )

    def drop(self, i: int) -> None:
        """Leave channel ``i`` out and fit the others anew."""
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
    """A convolution or dense layer that is to do with fewer input channels: c of them in each of t
    taps, f outputs."""

    weights: list[Floats]
    """Its kernel (..., c, f) or (t * c, f), and its bias."""
    norm: list[Floats] | None
    """Of the normalisation behind it: scale, shift, mean, variance."""
    scale: Floats | float
    """(f,) by which that normalisation multiplies."""
    mean: Doubles
    """(t, c) of what it reads."""
    covariance: Doubles
    """(t, c, t, c), a little widened so that it has an inverse."""
    held: Doubles
    """The same of the faces that are held out, as it is."""

    @classmethod
    def of(
        cls, wide: keras.Model, key: str, weights: dict[str, list[Floats]], faces: Floats, c: int
    ) -> _Reader:
        layer = wide.get_layer(key)
        held = np.arange(len(faces)) % 4 == 3
        mean, covariance = _moments(wide, layer, faces[~held])
        _, other = _moments(wide, layer, faces[held])
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
        """Do with the kept channels; returns the share of the outputs' variance that this loses on
        the faces held out."""
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


def _pairs(model: keras.Model, wide: keras.Model, name: str) -> dict[str, tuple[Any, Any]]:
    """The layers with weights, by their name in ``wide``."""
    own, given = ([layer for layer in net.layers if layer.weights] for net in (model, wide))
    kinds = [
        [(type(layer).__name__, *map(layer.get_config().get, SAME)) for layer in net]
        for net in (own, given)
    ]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{name}: other layers, not the same ones with fewer channels")
    return {layer.name: (layer, other) for layer, other in zip(given, own, strict=True)}


def _channel_sets(wide: keras.Model, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """For each layer, which set its output channels belong to, and which its inputs: what is added
    or passed on keeps its channels, a convolution or dense layer makes new ones."""
    from keras import layers as L

    passing = (
        L.InputLayer, L.BatchNormalization, L.ReLU, L.Activation, L.Dropout, L.Add, L.Multiply,
        L.MaxPooling2D, L.AveragePooling2D, L.GlobalAveragePooling2D, L.Flatten,
    )  # fmt: skip
    made: dict[str, str] = {}
    read: dict[str, str] = {}
    for layer in wide.layers:
        if not (_is_linear(layer) or isinstance(layer, passing)):
            raise UsageError(
                f"{name}: {layer.name} is a {type(layer).__name__}, whose channels cannot be cut"
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
    """The batch normalisation behind ``layer``; None where there is none."""
    from keras import layers as L

    behind = [node.operation for node in layer._outbound_nodes]
    sole = len(behind) == 1 and isinstance(behind[0], L.BatchNormalization)
    return behind[0] if sole else None


def _moments(wide: keras.Model, layer: Any, faces: Floats) -> tuple[Doubles, Doubles]:
    """Mean (t * c,) and covariance of what ``layer`` reads."""
    import keras

    part = keras.Model(wide.inputs, layer.input)
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
    """(n, t * c) patches that ``layer`` reads of ``maps``, some of each face."""
    if maps.ndim == 2:
        return maps
    high, broad = layer.kernel_size
    padded = np.pad(maps, ((0, 0), (high // 2,) * 2, (broad // 2,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (high, broad), axis=(1, 2))
    face = np.repeat(np.arange(len(maps)), PATCHES)
    top, left = (rng.integers(0, side, len(face)) for side in windows.shape[1:3])
    return np.moveaxis(windows[face, top, left], 1, -1).reshape(len(face), -1)


def _spread(weights: list[Floats], wide: Any, narrow: Any) -> list[Floats]:
    """Of a dense layer over the mean of t cells (c, f), those of one over the cells (t * c, f)."""
    from keras import layers as L

    rows = narrow.weights[0].shape[0]
    over_cells = (
        isinstance(narrow, L.Dense)
        and isinstance(_source(wide), L.GlobalAveragePooling2D)
        and isinstance(_source(narrow), L.Flatten)
        and isinstance(_source(_source(narrow)), L.AveragePooling2D)
        and rows % len(weights[0]) == 0
    )
    if not over_cells:
        return weights
    cells = rows // len(weights[0])
    return [np.tile(weights[0] / np.float32(cells), (cells, 1)), *weights[1:]]


if __name__ == "__main__":
    sys.exit(main())
