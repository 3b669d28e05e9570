"""Parameters and time of the networks of the field's recipes, as a table.

    python -m benchmarks.recipes [--seconds 2]

Freshly initialised networks: neither figure depends on training. Each is exported to ONNX in
float32 as ``python -m training.export`` does, and timed on one thread in turns with the others, as
is the bundled file. The time of a face is the fastest of all runs, relative to the tutorial CNN.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from fastfer.classifiers.native import bundled
from fastfer.cli.arguments import CommandParser, positive
from training.common import quiet_tensorflow

RECIPES: Final = (
    ("seven-layer CNN of the tutorials", "simple", 7),
    ("VGG16, global average pooling, dropout 0.2", "vgg16", 7),
    ("ResNet50, global average pooling, dropout 0.2", "resnet50", 7),
    ("SE-ResNet, five classes", "se_resnet", 5),
    ("fastfer, two heads", "fastfer", 7),
)
BATCHES: Final = (8, 1)


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.recipes",
        description=(__doc__ or "").splitlines()[0],
        epilog="Takes about a minute; --seconds 0.5 about three quarters of one.",
    )
    parser.add_argument(
        "--seconds", type=positive, default=2.0, help="for each network and batch (default: 2)"
    )
    args = parser.parse_args()
    if find_spec("keras") is None:
        sys.exit("the networks are built with Keras: pip install -e '.[train]'")
    print("building and timing the networks, about a minute ...", file=sys.stderr, flush=True)
    quiet_tensorflow.install()  # Keras is imported first here.
    with tempfile.TemporaryDirectory() as folder:
        networks = {}
        for name, arch, classes in RECIPES:
            path = Path(folder) / f"{arch}.onnx"
            networks[name] = _export(arch, classes, path), path
        parameters = networks[RECIPES[-1][0]][0]
        networks["the bundled file (INT8)"] = parameters, bundled()
        sessions = {name: _session(path) for name, (_, path) in networks.items()}
        times = {batch: _times(sessions, batch, args.seconds) for batch in BATCHES}
    print("| network | parameters | ms a face, batch 8 / 1 | of the tutorial CNN's |")
    print("| --- | ---: | ---: | ---: |")
    first = RECIPES[0][0]
    for name, (count, _) in networks.items():
        ms = " / ".join(f"{times[batch][name]:.2f}" for batch in BATCHES)
        ratio = " / ".join(f"{times[b][name] / times[b][first]:.2f}" for b in BATCHES)
        print(f"| {name} | {count:,} | {ms} | {ratio} |")


def _export(arch: str, classes: int, path: Path) -> int:
    """Write the network as ``path``; returns its number of parameters."""
    from keras import ops

    from training.common.fold_batchnorm import inference_model
    from training.expression.architectures import ONE_HEAD, build
    from training.expression.heads import FER2013, FERPLUS
    from training.expression.onnx_graph import convert

    heads = (FER2013, FERPLUS) if arch == "fastfer" else ONE_HEAD
    network = build(arch, classes, heads)
    inference: Any = inference_model(network)
    # The second head of fastfer is a small product more.
    outputs = {"probabilities": ops.softmax(inference.outputs[0])}
    convert(type(inference)(inference.inputs, outputs), path)
    return int(network.count_params())


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _times(sessions: dict[str, Any], batch: int, seconds: float) -> dict[str, float]:
    """Milliseconds per face: of rounds in which each network runs once, the fastest run."""
    faces = np.random.default_rng(0).random((batch, 48, 48, 1), np.float32)
    best = dict.fromkeys(sessions, float("inf"))
    end = time.perf_counter() + seconds * len(sessions)
    while time.perf_counter() < end or max(best.values()) == float("inf"):
        for name, session in sessions.items():
            feed = {session.get_inputs()[0].name: faces}
            start = time.process_time()
            session.run(["probabilities"], feed)
            best[name] = min(best[name], time.process_time() - start)
    return {name: 1e3 * value / batch for name, value in best.items()}


if __name__ == "__main__":
    main()
