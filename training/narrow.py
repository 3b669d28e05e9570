"""A narrower network that begins with the weights of a wider one:
``python -m training.narrow WIDE --arch fastfer --data fer2013.csv --out NARROW.keras``.

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
from training.options import run_command, whole

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
FACES, BATCH, SAMPLES = 1000, 250, 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(prog="python -m training.narrow", description=__doc__)
    p.add_argument("wide", type=Path, help="run folder or .keras file")
    p.add_argument("--arch", default="fastfer", help="of the narrower network (%(default)s)")
    p.add_argument("--data", required=True, help="faces to fit to: CSV or folder")
    p.add_argument("--seed", type=whole(0), default=0, help="of the faces that are drawn")
    p.add_argument("--out", type=Path, required=True, help="the .keras file to write")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from training.data import as_batch, load_dataset
    from training.fold import inference_twin
    from training.models import build
    from training.runs import checkpoint_of, load_network

    path = options.wide
    if options.out.suffix != ".keras":
        raise UsageError(f"--out {options.out}: the name must end in .keras")
    wide = inference_twin(load_network(checkpoint_of(path) if path.is_dir() else path), fold=False)
    model = build(options.arch, int(wide.outputs[0].shape[-1]), tuple(wide.output_names))
    train, _ = load_dataset(options.data).training_and_validation()
    drawn = np.random.default_rng(options.seed).permutation(len(train))[:FACES]
    narrow(model, wide, as_batch(train.load(np.sort(drawn))), f"{path} as {options.arch}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    model.save(options.out)
    print(f"wrote {options.out}")
    return 0


def narrow(model: keras.Model, wide: keras.Model, faces: Floats, name: str) -> None:
    """Give ``model`` the weights of ``wide`` as far as it has room, and print what is lost.

    Args:
        model: convolutions and dense layers, each as in ``wide`` but for its number of channels.
        wide: in float32, not folded.
        faces: (N, 48, 48, 1), to which layers are fitted that read fewer channels than before.
        name: of both networks in a message.

    Raises:
        UsageError: they differ in more than that.
    """
    pairs = _pairs(model, wide, name)
    weights = {key: layer.get_weights() for key, (layer, _) in pairs.items()}
    made, read = _channel_sets(wide)
    # From the end: what reads channels is fitted once, to those of its outputs that are left.
    for channels in reversed(dict.fromkeys(made[key] for key in pairs)):
        members = [key for key in pairs if made[key] == channels]
        have, keep = (int(layer.weights[0].shape[-1]) for layer in pairs[members[0]])
        if keep == have:
            continue
        if keep > have:
            raise UsageError(f"{name}: {members[0]} has {have} channels, which is less than {keep}")
        readers = [
            _Reader(
                weights[key],
                weights.get(_normalisation(pairs[key][0])),
                *_statistics(_seen(wide, pairs[key][0], faces), have),
            )
            for key in pairs
            if read[key] == channels and _is_linear(pairs[key][0])
        ]
        kept = list(range(have))
        while len(kept) > keep:
            kept.pop(int(np.argmin(sum(reader.costs(kept) for reader in readers))))
        lost = [reader.fit(kept) for reader in readers]
        print(
            f"{members[0]}: {keep} of {have} channels are kept; layers that read them lose "
            + ", ".join(f"{share:.1%}" for share in lost)
            + " of their variance"
        )
        for key in members:
            weights[key][:] = [w[..., kept] for w in weights[key]]
    for key, (_, layer) in pairs.items():
        shapes = [tuple(w.shape) for w in layer.weights]
        fitting = [_spread(w, shape) for w, shape in zip(weights[key], shapes, strict=True)]
        if [w.shape for w in fitting] != shapes:
            raise UsageError(f"{name}: {key} reads {fitting[0].shape}, the other {shapes[0]}")
        layer.set_weights(fitting)


@dataclass
class _Reader:
    """A convolution or dense layer that is to do with fewer input channels: c of them in each of t
    taps, f outputs."""

    weights: list[Floats]
    """Its kernel (..., c, f) or (t * c, f), and its bias."""
    norm: list[Floats] | None
    """Of the batch normalisation behind it: scale, shift, mean, variance."""
    mean: Doubles
    """(t, c) of what it reads."""
    covariance: Doubles
    """(t, c, t, c)."""

    @property
    def _kernel(self) -> Doubles:
        return self.weights[0].reshape(*self.mean.shape, -1).astype(np.float64)

    def _fitted(self, kept: list[int], kernel: Doubles) -> tuple[Doubles, Doubles]:
        """The inverse covariance of the kept inputs (t * k, t * k), and the kernel (t * k, f) that
        makes of them the most of what ``kernel`` makes of all."""
        rows = self.covariance[:, kept]
        part = rows[..., kept].reshape(rows.shape[0] * len(kept), -1)
        inverse = np.asarray(np.linalg.inv(part), np.float64)
        common = rows.reshape(len(part), -1) @ kernel.reshape(-1, kernel.shape[-1])
        return inverse, inverse @ common

    def costs(self, kept: list[int]) -> Doubles:
        """(k,) the squared error that leaving out each of the kept channels adds, the others fitted
        anew (Hassibi and Stork, Optimal Brain Surgeon, 1993)."""
        taps, k = len(self.mean), len(kept)
        scale = 1.0 if self.norm is None else self.norm[0] / np.sqrt(self.norm[3] + 1e-3)
        inverse, kernel = self._fitted(kept, self._kernel * scale)
        inverse, kernel = inverse.reshape(taps, k, taps, k), kernel.reshape(taps, k, -1)
        return np.array(
            [
                np.sum(kernel[:, i] * np.linalg.solve(inverse[:, i, :, i], kernel[:, i]))
                for i in range(k)
            ]
        )

    def fit(self, kept: list[int]) -> float:
        """Do with the kept channels; returns the share of the outputs' variance that is lost."""
        old = self._kernel
        taps, c, f = old.shape
        _, flat = self._fitted(kept, old)
        new = flat.reshape(taps, len(kept), f)
        whole, part = (
            np.einsum("tcf,tcud,udf", k, self.covariance[:, i][..., i], k, optimize=True)
            for k, i in ((old, list(range(c))), (new, kept))
        )
        moved = np.einsum("tcf,tc->f", new, self.mean[:, kept]) - np.einsum(
            "tcf,tc->f", old, self.mean
        )
        *sides, last, _ = self.weights[0].shape
        shape = (*sides, last // c * len(kept), f)
        self.weights[0] = new.reshape(shape).astype(np.float32)
        if self.norm is not None:
            self.norm[2] = (self.norm[2] + moved).astype(np.float32)
        elif len(self.weights) > 1:
            self.weights[1] = (self.weights[1] - moved).astype(np.float32)
        return float(1 - part / whole)


def _pairs(model: keras.Model, wide: keras.Model, name: str) -> dict[str, tuple[Any, Any]]:
    """The layers with weights, by their name in ``wide``."""
    own, given = ([layer for layer in net.layers if layer.weights] for net in (model, wide))
    kinds = [
        [(type(layer).__name__, getattr(layer, "kernel_size", None)) for layer in net]
        for net in (own, given)
    ]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{name}: other layers, not the same with fewer channels")
    return {layer.name: (layer, other) for layer, other in zip(given, own, strict=True)}


def _channel_sets(wide: keras.Model) -> tuple[dict[str, str], dict[str, str]]:
    """For each layer, which set its output channels belong to, and which its inputs: what is added
    or passed on keeps its channels, a convolution or dense layer makes new ones."""
    made: dict[str, str] = {}
    read: dict[str, str] = {}
    for layer in wide.layers:
        sources = [made[node.operation.name] for node in layer._inbound_nodes[0].parent_nodes]
        read[layer.name] = sources[0] if sources else layer.name
        if not sources or _is_linear(layer):
            made[layer.name] = layer.name
            continue
        made[layer.name] = sources[0]
        for key, value in made.items():
            if value in sources:
                made[key] = sources[0]
        for key, value in read.items():
            if value in sources:
                read[key] = sources[0]
    return made, read


def _is_linear(layer: Any) -> bool:
    from keras import layers as L

    return isinstance(layer, L.Dense | L.Conv2D) and not isinstance(layer, L.DepthwiseConv2D)


def _normalisation(layer: Any) -> str:
    """Name of the batch normalisation behind ``layer``; empty where there is none."""
    from keras import layers as L

    behind = [node.operation for node in layer._outbound_nodes]
    return (
        behind[0].name if len(behind) == 1 and isinstance(behind[0], L.BatchNormalization) else ""
    )


def _seen(wide: keras.Model, layer: Any, faces: Floats) -> Floats:
    """(n, h, w, c), patches that ``layer`` reads, or (n, t * c)."""
    import keras

    part = keras.Model(wide.inputs, layer.input)
    maps = np.concatenate(
        [
            keras.ops.convert_to_numpy(part(faces[i : i + BATCH], training=False))
            for i in range(0, len(faces), BATCH)
        ]
    )
    if maps.ndim == 2:
        return maps
    high, broad = layer.kernel_size
    padded = np.pad(maps, ((0, 0), (high // 2,) * 2, (broad // 2,) * 2, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (high, broad), axis=(1, 2))
    n, h, w = windows.shape[:3]
    rng = np.random.default_rng(0)
    places = tuple(rng.integers(0, side, SAMPLES) for side in (n, h, w))
    return np.moveaxis(windows[places], 1, -1)


def _statistics(seen: Floats, c: int) -> tuple[Doubles, Doubles]:
    """Mean (t, c) and covariance (t, c, t, c), a little widened so that it has an inverse."""
    rows = seen.reshape(len(seen), -1).astype(np.float64)
    mean = rows.mean(axis=0)
    covariance = np.cov(rows, rowvar=False, bias=True)
    covariance += np.eye(len(covariance)) * (1e-6 * np.trace(covariance) / len(covariance))
    return mean.reshape(-1, c), covariance.reshape(-1, c, len(mean) // c, c)


def _spread(weights: Floats, shape: tuple[int, ...]) -> Floats:
    """A dense kernel (c, f) over the mean of t cells as one (t * c, f) over the cells."""
    if weights.shape == shape or weights.ndim != 2 or shape[0] % len(weights):
        return weights
    cells = shape[0] // len(weights)
    return np.tile(weights / np.float32(cells), (cells, 1))


if __name__ == "__main__":
    sys.exit(main())
