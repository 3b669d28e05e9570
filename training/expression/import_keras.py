"""Convert a Keras classifier: ``fastfer import model.h5 --out model.onnx``.

Reads ``.h5`` and ``.hdf5`` files, also those that Keras 2 wrote, and ``.keras`` files; writes ONNX
and compares both on random faces. A file of input (N, 48, 48, 1) also gets the metadata with which
``fastfer image --model`` loads it without further options. The file does not state the order of its
outputs nor the scale of its input: labelled faces do, otherwise the usual ones are assumed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.contract import ModelContract
from fastfer.classifiers.custom import SYNONYMS
from fastfer.cli.arguments import CommandParser
from fastfer.errors import InputError, ModelError
from fastfer.labels import ALL_EMOTIONS, EMOTIONS
from training.common.options import finite, run_command
from training.common.output_files import check_output, new_file
from training.expression.data import load_dataset

if TYPE_CHECKING:
    import keras

SUFFIXES = (".h5", ".hdf5", ".keras")
FACES = 64
PARITY = 1e-4
# As courses have them: the order of the CSV of FER-2013 and of alphabetical folders.
ORDERS: tuple[tuple[str, ...], ...] = (EMOTIONS, tuple(sorted(EMOTIONS)))
SCALES: tuple[float, ...] = (1 / 255, 1.0)
MOST_FACES = 2000
# The input with which a file needs no options at inference.
NATIVE_INPUT = (48, 48, 1)


def main(arguments: Sequence[str] | None = None, prog: str = "fastfer import") -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog=prog, description="Convert a Keras classifier to ONNX.")
    p.add_argument("model", type=Path, help="a .h5, .hdf5 or .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument(
        "--labels", type=_labels, metavar="A,B,...",
        help="emotions in the order of the outputs (default: the better on --data of "
        f"{','.join(EMOTIONS)}, the CSV of FER-2013, and {','.join(sorted(EMOTIONS))}, folders in "
        "alphabetical order; without --data the former)",
    )  # fmt: skip
    p.add_argument(
        "--scale", type=_ratio, metavar="X",
        help="factor of the pixels 0 to 255 in training (default: the better on --data of 1/255 "
        "and 1; without --data 1/255; 1 if the network begins with a Rescaling layer)",
    )  # fmt: skip
    p.add_argument(
        "--data", type=Path,
        help="labelled faces, a CSV or folder as for training, to choose --labels and --scale",
    )  # fmt: skip
    p.add_argument("--bias", type=finite, default=0.0, help="added after --scale (default: 0)")
    p.add_argument("--softmax", action="store_true", help="apply softmax: the outputs are logits")
    p.add_argument("--name", help="name in the metadata (default: that of the file)")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _labels(text: str) -> tuple[str, ...]:
    """Emotions by their names in fastfer."""
    names = tuple(SYNONYMS.get(n, n) for n in (part.strip().lower() for part in text.split(",")))
    unknown = [name for name in names if name not in ALL_EMOTIONS]
    if unknown or len(set(names)) != len(names) or len(names) < 2:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected two or more of {', '.join(ALL_EMOTIONS)}, each once"
        )
    return names


def _ratio(text: str) -> float:
    """A number or a fraction such as 1/255."""
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError):
        value = 0.0
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number or fraction other than 0")
    return value


def _run(options: argparse.Namespace) -> int:
    from training.expression.export import check_packages

    check_output("--out", options.out, ".onnx")
    check_packages()
    with new_file(options.out) as file:
        report = import_keras(options, file)
    print(f"{report}\nwrote {options.out}, {options.out.stat().st_size:,} bytes")
    return 0


def import_keras(options: argparse.Namespace, path: Path) -> str:
    """Write and verify ``path``; returns a report.

    Raises:
        InputError: the file does not exist or is of another kind.
        ModelError: it is not a classifier of as many classes as ``--labels``, its outputs are not
            probabilities, or ONNX Runtime computes something else.
    """
    from training.expression.export import write_metadata
    from training.expression.onnx_graph import convert

    network = load_keras(options.model)
    side = tuple(network.input_shape[1:])
    order, scale, chosen = choose_order_and_scale(network, options)
    labels = tuple(name for name in ALL_EMOTIONS if name in order)
    model = _with_labels(network, order, labels, options.softmax)
    faces = _random_faces(side, scale, options.bias)
    expected = np.asarray(model.predict(faces, verbose=0)["probabilities"])
    if expected.min() < 0 or np.abs(expected.sum(axis=1) - 1).max() > 1e-3:
        raise ModelError(
            f"{options.model}: the outputs are not probabilities; use --softmax for logits",
            code="not_probabilities",
        )
    convert(model, path)
    difference = float(np.abs(_run_onnx(path, faces) - expected).max())
    lines = [f"ONNX against Keras on {FACES} random faces: largest difference {difference:.1e}"]
    if not difference <= PARITY:
        raise ModelError(f"{lines[0]}, above {PARITY:.0e}; nothing was written")
    lines += chosen
    if side == NATIVE_INPUT:
        contract = ModelContract(
            name=options.name or options.out.stem,
            labels=labels,
            scale=scale,
            bias=options.bias,
            outputs={"probabilities": "softmax"},
            trained_on=f"imported from {options.model.name}",
        )
        write_metadata(path, contract)
        lines.append(f"use it with: fastfer image --model {options.out} PHOTO")
    else:
        lines.append(
            f"use it with: fastfer image --model {options.out} --model-labels {','.join(labels)} "
            f"--model-scale {scale!r} --model-bias {options.bias!r} PHOTO"
        )
    return "\n".join(lines)


def choose_order_and_scale(
    network: keras.Model, options: argparse.Namespace
) -> tuple[tuple[str, ...], float, list[str]]:
    """``--labels`` and ``--scale``, or those with which the network reads ``--data`` best, or the
    usual ones.

    Returns:
        emotions in the order of the outputs, the factor of the pixels, and what to print about it.

    Raises:
        ModelError: without ``--labels``, a network of other than seven outputs.
    """
    import keras

    layers = [x for x in network.layers if not isinstance(x, keras.layers.InputLayer)]
    scales = (1.0,) if isinstance(layers[0], keras.layers.Rescaling) else SCALES
    if options.scale is not None:
        scales = (options.scale,)
    orders = ORDERS if options.labels is None else (options.labels,)
    classes = int(network.outputs[0].shape[-1])
    if options.labels is None and classes != len(EMOTIONS):
        raise ModelError(f"{options.model}: {classes} outputs; name their emotions with --labels")
    if options.data is not None:
        return _best_on_faces(network, options, list(itertools.product(orders, scales)))
    notes = []
    if len(orders) * len(scales) > 1:
        words = [f"--labels {','.join(orders[0])}"] * (len(orders) > 1)
        words += [f"--scale {Fraction(scales[0]).limit_denominator(255)}"] * (len(scales) > 1)
        notes.append(
            f"assumed {' '.join(words)}, which the file does not state; with others its answers "
            "would be wrong. --data FACES chooses them by labelled faces"
        )
    return orders[0], scales[0], notes


def _best_on_faces(
    network: keras.Model, options: argparse.Namespace, choices: list[tuple[tuple[str, ...], float]]
) -> tuple[tuple[str, ...], float, list[str]]:
    """The one of ``choices`` with the highest accuracy on the faces of ``--data``."""
    _, faces = load_dataset(options.data).training_and_validation()
    rows = np.arange(len(faces))[:MOST_FACES]
    height, width, channels = network.input_shape[1:]
    pixels = np.stack([cv2.resize(face, (width, height)) for face in faces.load(rows)])
    pixels = np.repeat(pixels[..., None], channels, axis=-1).astype(np.float32)
    shares = []
    for order, scale in choices:
        outputs = network.predict(pixels * scale + options.bias, verbose=0)
        found = [EMOTIONS.index(name) if name in EMOTIONS else -1 for name in order]
        shares.append(float((np.array(found)[outputs.argmax(axis=1)] == faces.labels[rows]).mean()))
    best = int(np.argmax(shares))
    order, scale = choices[best]
    ratio = Fraction(scale).limit_denominator(255)
    note = (
        f"--labels {','.join(order)} --scale {ratio}: right about {100 * shares[best]:.1f} % of "
        f"{len(rows):,} faces"
    )
    if len(shares) > 1:
        note += f"; the next best choice: {100 * sorted(shares)[-2]:.1f} %"
    return order, scale, [note]


def load_keras(path: Path) -> keras.Model:
    """The network in a Keras file, with float32 input (N, H, W, channels) and one output.

    Raises:
        InputError: the file does not exist or is of another kind.
        ModelError: it is not such a network.
    """
    import keras

    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: expected a file that ends in {', '.join(SUFFIXES)}",
            code="unsupported_format",
        )
    if not path.exists():
        raise InputError(f"{path}: no such file", code="not_found")
    keras.config.set_dtype_policy("float32")
    try:
        with tempfile.TemporaryDirectory() as folder:
            legacy = path.suffix.lower() != ".keras"
            file = _with_input_layer(path, Path(folder)) if legacy else path
            model = keras.saving.load_model(file, compile=False)
    except (ValueError, OSError, TypeError, KeyError, AttributeError) as e:
        reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
        raise ModelError(
            f"{path}: Keras cannot load it: {reason}; a file of weights alone (save_weights) needs "
            "the code of its network"
        ) from e
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(f"{path}: expected one input and one output")
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or None in shape[1:] or shape[3] not in (1, 3):
        raise ModelError(f"{path}: input {shape}, expected (N, H, W, 1 or 3)")
    return model


def _with_input_layer(path: Path, folder: Path) -> Path:
    """A copy of an HDF5 file in ``folder`` whose Sequential model begins with an input layer.

    Keras 2 stored the input shape in the first other layer, where Keras 3 misreads it.
    """
    import h5py

    copy = folder / "model.h5"
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        if "model_config" not in file.attrs:
            raise ValueError("it holds no network configuration")
        config = json.loads(file.attrs["model_config"])
        layers = config["config"]["layers"] if config["class_name"] == "Sequential" else []
        if layers and layers[0]["class_name"] != "InputLayer":
            shape = layers[0]["config"].pop("batch_input_shape", None)
            if shape is not None:
                entry = {"batch_input_shape": shape, "dtype": "float32", "name": "faces"}
                layers.insert(0, {"class_name": "InputLayer", "config": entry})
                file.attrs["model_config"] = json.dumps(config)
    return copy


def _with_labels(
    network: keras.Model, order: Sequence[str], labels: Sequence[str], softmax: bool
) -> keras.Model:
    """``network`` with the output ``probabilities`` in the order of ``labels``."""
    import keras

    classes = int(network.outputs[0].shape[-1])
    if classes != len(order):
        raise ModelError(f"the network has {classes} outputs, --labels names {len(order)}")
    inputs = keras.Input(network.input_shape[1:], name="faces")
    outputs = network(inputs)
    columns = [list(order).index(name) for name in labels]
    if columns != sorted(columns):
        outputs = keras.ops.take(outputs, np.array(columns), axis=-1)
    last = keras.layers.Softmax(name="probabilities") if softmax else keras.layers.Identity()
    return keras.Model(inputs, {"probabilities": last(outputs)})


def _random_faces(shape: tuple[int, ...], scale: float, bias: float) -> NDArray[np.float32]:
    """Network inputs (FACES, H, W, channels): smooth noise over the whole range of grays."""
    rng = np.random.default_rng(0)
    pixels = np.cumsum(rng.normal(0, 12, (FACES, *shape)), axis=2) + rng.uniform(
        0, 255, (FACES, 1, 1, 1)
    )
    return (np.clip(pixels, 0, 255) * scale + bias).astype(np.float32)


def _run_onnx(path: Path, faces: NDArray[np.float32]) -> NDArray[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: faces})[0])


if __name__ == "__main__":
    sys.exit(main())
