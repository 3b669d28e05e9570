"""Turn a run into a checked ONNX file: ``python -m training.export RUN --out model.onnx``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastfer.errors import FastferError, ModelError, UsageError
from fastfer.labels import EMOTIONS
from fastfer.models.contract import ModelContract
from training import evaluate
from training.batches import CROWD, FER2013
from training.data import FaceSource, load_dataset
from training.metrics import fit_temperature
from training.predictors import Floats, KerasPredictor, load_predictor
from training.runs import CONFIG, read_json

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

OPSET = 17
INPUT, DEFAULT_OUTPUT = "faces", "probabilities"
PARITY_FACES = 512
PARITY = 1e-4
INT8_DROP = 0.005
CALIBRATION_FACES = 1024
# Softmax and what follows it stay in float32: probabilities in steps of 1/255 would be no use.
QUANTISED = [
    "Conv", "MatMul", "Gemm", "Add", "Relu", "MaxPool", "GlobalAveragePool", "ReduceMean",
]  # fmt: skip
TRAINING_ONLY = {"Dropout", "RandomUniform", "RandomNormal", "BatchNormalization", "Bernoulli"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    p.add_argument("run", help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument("--data", help="CSV or folder; the run's own where it is left out")
    p.add_argument("--votes", help="FER+ votes; the run's own where they are left out")
    p.add_argument("--name", help="name in the metadata (the file's)")
    p.add_argument("--trained-on", default="FER-2013 Training", help="said in the metadata")
    p.add_argument("--int8", action="store_true", help="quantise: static QDQ, per channel")
    p.add_argument(
        "--allow-drop", type=float, default=INT8_DROP,
        help=f"largest loss of accuracy by --int8, a fraction of 1 ({INT8_DROP})",
    )  # fmt: skip
    p.add_argument(
        "--crowd-share", type=float, default=0.7,
        help="of the votes head in the default output of a two-headed network (0.7)",
    )  # fmt: skip
    options = p.parse_args(arguments)
    try:
        return _run(options)
    except FastferError as e:
        print(f"error: {e}", file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    config = read_json(Path(options.run) / CONFIG) if Path(options.run).is_dir() else {}
    data = options.data or config.get("data")
    if data is None:
        raise UsageError("--data is needed to calibrate and to verify; a .keras file names none")
    dataset = load_dataset(data, votes=options.votes or config.get("votes"), skip_bad=True)
    predictor = load_predictor(options.run)
    if not isinstance(predictor, KerasPredictor):
        raise UsageError(f"{options.run}: export takes a run folder or a .keras file")
    classes = predictor.logits(np.zeros((1, 48, 48, 1), np.float32)).shape[1]
    if classes != len(EMOTIONS):
        raise UsageError(
            f"{options.run}: the network knows {classes} classes; fastfer's contract has the seven "
            f"{', '.join(EMOTIONS)}. Train it with --classes 7."
        )
    train, val = dataset.training_and_validation(config.get("val_fraction"), config.get("seed", 0))
    with tempfile.TemporaryDirectory(dir=_folder(options.out)) as work:
        candidate = Path(work) / options.out.name
        report = export(predictor, train, val, candidate, options)
        candidate.replace(options.out)
    print(report)
    return 0


def export(
    predictor: KerasPredictor,
    train: FaceSource,
    val: FaceSource,
    path: Path,
    options: argparse.Namespace,
) -> str:
    """Write and verify ``path``; ModelError says which check failed."""
    import onnx

    graph, temperatures = probability_model(predictor, val, options.crowd_share)
    _convert(graph, path)
    lines = [f"temperature {', '.join(f'{k} {v:.3f}' for k, v in temperatures.items())}"]
    contract = ModelContract(
        name=options.name or options.out.stem,
        temperature=round(next(iter(temperatures.values())), 6),
        trained_on=options.trained_on,
        outputs=_meanings(temperatures, options.crowd_share),
    )
    _describe(path, contract)
    difference = parity(graph, path, val)
    lines.append(f"ONNX against Keras on {PARITY_FACES} faces: largest difference {difference:.1e}")
    if difference > PARITY:
        raise ModelError(f"{lines[-1]}, more than {PARITY:.0e}; nothing was written")
    float_report = evaluate.figures(evaluate.predict(load_predictor(path, 1), val), val, EMOTIONS)
    report = float_report
    if options.int8:
        quantise(path, train)
        _describe(path, contract)
        report = evaluate.figures(evaluate.predict(load_predictor(path, 1), val), val, EMOTIONS)
        drop = float_report["accuracy"] - report["accuracy"]
        lines.append(
            f"INT8 {report['accuracy']:.2%} against float32 {float_report['accuracy']:.2%}"
        )
        if drop > options.allow_drop:
            raise ModelError(
                f"{lines[-1]}: a drop of {100 * drop:.2f} points, more than "
                f"{100 * options.allow_drop:.2f}. Allow it with --allow-drop; nothing was written"
            )
    contract = replace(contract, metrics=_metrics(report))
    _describe(path, contract)
    left = {n.op_type for n in onnx.load(path).graph.node} & TRAINING_ONLY
    if left:
        raise ModelError(f"training-only nodes in the graph: {', '.join(sorted(left))}")
    # The classifier is the last judge: it refuses what it cannot honour.
    load_predictor(path, 1)
    lines.append(
        f"{options.out}: accuracy {report['accuracy']:.2%}, macro-F1 {report['macro_f1']:.4f}, "
        f"expected calibration error {report['ece']:.4f}, {path.stat().st_size:,} bytes"
    )
    return "\n".join(lines)


def probability_model(
    predictor: KerasPredictor, val: FaceSource, crowd_share: float
) -> tuple[Any, dict[str, float]]:
    """The network with calibrated softmax outputs, and the temperature of each head.

    One head gives ``probabilities``. Two heads give ``probabilities``, the blend of both, and
    ``fer2013``.
    """
    import keras

    faces = val.load(np.arange(len(val))).astype(np.float32)[..., None] / 255
    model = predictor.model
    # Called as one layer, so that the names inside it cannot meet those of the operations after it.
    inputs = keras.Input(model.input_shape[1:], name=INPUT)
    raw = model(inputs)
    if not isinstance(raw, dict):
        one_hot = np.eye(raw.shape[1], dtype=np.float32)
        t = fit_temperature(predictor.logits(faces), one_hot[val.labels])
        out = keras.layers.Softmax(name=DEFAULT_OUTPUT)(raw / t)
        return keras.Model(inputs, {DEFAULT_OUTPUT: out}), {FER2013: t}
    if val.votes is None:
        raise UsageError("a two-headed network is calibrated on votes: give --votes")
    voted = val.votes.any(axis=1)
    one_hot = np.eye(len(EMOTIONS), dtype=np.float32)
    t_crowd = fit_temperature(
        predictor.logits(faces, CROWD)[voted], one_hot[val.votes[voted].argmax(axis=1)]
    )
    t_fer = fit_temperature(predictor.logits(faces, FER2013), one_hot[val.labels])
    crowd = keras.layers.Softmax()(raw[CROWD] / t_crowd)
    fer = keras.layers.Softmax(name=FER2013)(raw[FER2013] / t_fer)
    mixed = crowd_share * crowd + (1 - crowd_share) * fer
    outputs = {DEFAULT_OUTPUT: keras.layers.Identity(name=DEFAULT_OUTPUT)(mixed), FER2013: fer}
    return keras.Model(inputs, outputs), {CROWD: t_crowd, FER2013: t_fer}


def parity(graph: Any, path: Path, source: FaceSource) -> float:
    """Largest difference of any output between Keras and ONNX Runtime on real faces."""
    import onnxruntime

    indices = np.linspace(0, len(source) - 1, min(PARITY_FACES, len(source))).astype(np.int64)
    faces = source.load(indices).astype(np.float32)[..., None] / 255
    expected = graph.predict(faces, batch_size=256, verbose=0)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    got = dict(zip(names, session.run(names, {INPUT: faces}), strict=True))
    return max(float(np.abs(expected[name] - got[name]).max()) for name in names)


def quantise(path: Path, source: FaceSource) -> None:
    """Replace the file by its INT8 twin: QDQ nodes, weights per channel, ranges from real faces."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Faces(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            chosen = np.linspace(0, len(source) - 1, min(CALIBRATION_FACES, len(source)))
            faces = source.load(np.unique(chosen.astype(np.int64)))
            self._batches = iter(np.array_split(faces, max(len(faces) // 64, 1)))

        def get_next(self) -> dict[str, Floats] | None:
            part = next(self._batches, None)
            return None if part is None else {INPUT: part.astype(np.float32)[..., None] / 255}

    ready = path.with_suffix(".ready.onnx")
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_static(
            ready, path, Faces(), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTISED, nodes_to_exclude=_heads(ready),
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )  # fmt: skip


def _heads(path: Path) -> list[str]:
    """Names of the nodes from the last dense layers on: their few products stay in float32."""
    import onnx

    nodes = list(onnx.load(path).graph.node)
    made_by = {name: node for node in nodes for name in node.output}
    heads = [node for node in nodes if node.op_type == "Softmax"]
    for node in heads:  # grows while it is walked: back to the dense layers ...
        if node.op_type not in ("MatMul", "Gemm"):
            heads += [made_by[name] for name in node.input if name in made_by]
    known = {name for node in heads for name in node.output}
    for node in nodes:  # ... and, in the graph's order, on to the outputs.
        if known.intersection(node.input):
            heads.append(node)
            known.update(node.output)
    return list(dict.fromkeys(node.name for node in heads))


def _convert(graph: Any, path: Path) -> None:
    """Keras to ONNX by Keras's own exporter, then names that do not depend on it."""
    import onnx

    quiet: dict[str, Any] = {"format": "onnx", "verbose": False, "opset_version": OPSET}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Traced once, so that every layer is built.
        example = graph.predict(np.zeros((2, 48, 48, 1), np.float32), verbose=0)
        graph.export(path, **quiet)
    model = onnx.load(path)
    outputs = _match_outputs(path, example, [o.name for o in model.graph.output])
    _rename(model, {model.graph.input[0].name: INPUT, **outputs})
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    del model.graph.value_info[:]
    # The default output comes first.
    ordered = sorted(model.graph.output, key=lambda o: o.name != DEFAULT_OUTPUT)
    ordered = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in ordered]
    del model.graph.output[:]
    model.graph.output.extend(ordered)
    keep = [o for o in model.opset_import if o.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(keep)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _match_outputs(path: Path, example: dict[str, Floats], names: list[str]) -> dict[str, str]:
    """Which output of the file is which of the model, told by what they compute."""
    if len(names) == 1:
        return {names[0]: next(iter(example))}
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: np.zeros((2, 48, 48, 1), np.float32)}
    found: dict[str, str] = {}
    for name, value in zip(names, session.run(names, feed), strict=True):
        found[name] = min(example, key=lambda k: float(np.abs(example[k] - value).max()))
    if len(set(found.values())) != len(names):
        raise ModelError(f"the outputs {names} of the exported graph cannot be told apart")
    return found


def _rename(model: Any, names: dict[str, str]) -> None:
    for node in model.graph.node:
        node.input[:] = [names.get(n, n) for n in node.input]
        node.output[:] = [names.get(n, n) for n in node.output]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)


def _meanings(temperatures: dict[str, float], crowd_share: float) -> dict[str, str]:
    if CROWD not in temperatures:
        return {DEFAULT_OUTPUT: "FER-2013 labels"}
    return {
        DEFAULT_OUTPUT: f"{crowd_share:g} FER+ votes + {1 - crowd_share:g} FER-2013 labels",
        FER2013: "FER-2013 labels",
    }


def _metrics(report: dict[str, Any]) -> dict[str, float]:
    found = {f"{k}/validation": round(report[k], 4) for k in ("accuracy", "macro_f1", "ece")}
    if "ferplus" in report:
        found["accuracy/ferplus"] = round(report["ferplus"]["accuracy"], 4)
    return found


def _describe(path: Path, contract: ModelContract) -> None:
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, contract.to_metadata())
    model.producer_name = "fastfer"
    onnx.save(model, path)


def _folder(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.parent


if __name__ == "__main__":
    sys.exit(main())
