"""Export a run to a verified ONNX file: ``python -m training.export RUN --out model.onnx``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.contract import HEADS, ModelContract
from fastfer.cli.arguments import CommandParser
from fastfer.errors import ModelError, UsageError
from fastfer.labels import EMOTIONS
from fastfer.priors import read_prior
from training.common.options import run_command, share
from training.common.output_files import check_output, put_in_place, temporary_files
from training.expression import evaluate
from training.expression.calibration import (
    HEAD_BLEND,
    INPUT,
    LEVEL_SHARE,
    LIKENESS,
    Calibration,
    calibrate,
    head_logits,
    merged_heads,
    probability_model,
    training_logits,
)
from training.expression.config import ExpressionConfig, read_config
from training.expression.data import CLASSES, load_dataset
from training.expression.face_sources import FaceSource, as_batch, spread
from training.expression.heads import FER2013, FERPLUS
from training.expression.likeness import likeness
from training.expression.metrics import summary
from training.expression.onnx_graph import convert, quantise, store_halved
from training.expression.predictors import DEFAULT_OUTPUT, KerasPredictor, load_predictor
from training.expression.robustness import PHOTO_CROPS, read_photos

if TYPE_CHECKING:
    import keras

LEARNT = "learnt"
PARITY_FACES = 512
PARITY = 1e-4
# The same for the float32 file of --float32-out, whose weights are stored in half precision.
HALF_PARITY = 1e-3
INT8_DROP = 0.005
TRAINING_ONLY = {"Dropout", "RandomUniform", "RandomNormal", "BatchNormalization", "Bernoulli"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.export", description=__doc__)
    p.add_argument("run", help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument("--data", help="CSV or folder (default: that of the run)")
    p.add_argument("--votes", help="FER+ votes (default: those of the run)")
    p.add_argument("--name", help="name in the metadata (default: that of the file)")
    p.add_argument("--trained-on", help="training data in the metadata (default: that of the run)")
    p.add_argument("--skip-bad", action="store_true", help="skip bad rows and images")
    p.add_argument("--int8", action="store_true", help="quantise: static QDQ, per channel")
    p.add_argument(
        "--float32-out", type=Path, metavar="FILE",
        help="with --int8: also write the float32 network, for CPUs on which INT8 is slower",
    )  # fmt: skip
    p.add_argument(
        "--allow-drop", type=share, default=INT8_DROP,
        help=f"largest loss of accuracy by --int8, as a fraction (default: {INT8_DROP})",
    )  # fmt: skip
    p.add_argument(
        "--head-blend", type=share, default=HEAD_BLEND, metavar="SHARE",
        help="share of the ferplus head in the default output of a network with two heads "
        f"(default: {HEAD_BLEND})",
    )  # fmt: skip
    p.add_argument(
        "--prior", metavar="NAME|FILE",
        help="prior for which the default output holds: level, uniform, fer2013, photos, a JSON "
        "file with a share of each emotion, or learnt, the network's own (default: level with two "
        "heads, learnt with one)",
    )  # fmt: skip
    p.add_argument(
        "--level-share", type=share, default=LEVEL_SHARE, metavar="SHARE",
        help="share of the uniform prior in the one that level removes; 0 makes level uniform "
        f"(default: {LEVEL_SHARE})",
    )  # fmt: skip
    p.add_argument(
        "--nonfaces", type=Path, metavar="LABELS.jsonl",
        help="labelled photos of training.detector: add the output likeness, the log odds of "
        "a face",
    )  # fmt: skip
    p.add_argument(
        "--photos", type=Path, metavar="FILE.npz",
        help="labelled photos (see training.expression.robustness) to measure the outputs on",
    )  # fmt: skip
    options = p.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments
    return run_command(lambda: _with_tensorflow(options, given))


def _with_tensorflow(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Export in this process if Keras runs on TensorFlow, else in one where it does."""
    _check_options(options)
    import keras

    if keras.backend.backend() == "tensorflow":
        return _run(options)
    # A .keras file is the same for all backends.
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "training.export", *arguments],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path},
        check=False,
    )
    return done.returncode


def _check_options(options: argparse.Namespace) -> None:
    for option, path in (("--out", options.out), ("--float32-out", options.float32_out)):
        if path is not None:
            check_output(option, path, ".onnx")
    if options.float32_out is not None:
        if not options.int8:
            raise UsageError("--float32-out needs --int8; without it, --out is the float32 file")
        if options.float32_out.resolve() == options.out.resolve():
            raise UsageError(f"--out and --float32-out are both {options.out}")
    check_packages()


def check_packages() -> None:
    """UsageError unless the packages that write ONNX are installed."""
    missing = [name for name in ("tensorflow", "tf2onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"writing ONNX needs TensorFlow on every backend: pip install {' '.join(missing)}",
            code="missing_package",
        )


@dataclass(frozen=True)
class Faces:
    """The faces of an export."""

    train: FaceSource
    """For the ranges of INT8."""
    validation: FaceSource
    """For the calibration."""
    judged: FaceSource
    """For the accuracy: the data's own validation split, even if the run held other faces out."""
    split: str
    """Name of ``judged``."""


def _run(options: argparse.Namespace) -> int:
    import keras

    # The exported graph computes in float32, whatever was trained in this process before.
    keras.config.set_dtype_policy("float32")
    config = read_config(Path(options.run))
    predictor = load_predictor(options.run)
    if not isinstance(predictor, KerasPredictor):
        raise UsageError(f"{options.run}: expected a run folder or a .keras file")
    if len(predictor.classes) not in CLASSES:
        raise UsageError(
            f"{options.run}: the network has {len(predictor.classes)} classes; expected the seven "
            f"{', '.join(EMOTIONS)}, five of them, or eight with contempt"
        )
    if not (options.data or config.data):
        raise UsageError(f"--data is needed: there is no config.json next to {options.run}")
    dataset = load_dataset(
        options.data or config.data,
        votes=options.votes or config.votes,
        classes=len(predictor.classes),
        skip_bad=options.skip_bad or config.skip_bad,
    )
    heads = predictor.heads
    if len(heads) == 1:
        heads = (FERPLUS,) if config.targets == "votes" else (FER2013,)
    train, val = dataset.training_and_validation(config.val_fraction, config.seed)
    split = dataset.validation
    faces = Faces(train, val, dataset.split(split) if split else val, split or "validation")
    if options.trained_on is None:
        options.trained_on = _trained_on(config, dataset.training)
    targets = [path for path in (options.out, options.float32_out) if path is not None]
    with temporary_files(targets) as files:
        report = export(predictor, heads, faces, options, *files)
        sizes = [path.stat().st_size for path in files]
        put_in_place(files, targets)
    print(report)
    for path, size in zip(targets, sizes, strict=True):
        print(f"wrote {path}, {size:,} bytes")
    return 0


def _trained_on(config: ExpressionConfig, split: str | None) -> str:
    """The training data of a run: files, split, votes and held-out share."""
    if not config.data:
        return "unknown"
    words = [f"{_file_name(config.data)} {split or ''}".strip()]
    if config.votes and (config.targets != "labels" or config.vote_smoothing):
        how = {"votes": "votes", "both": "labels and votes"}.get(
            config.targets, "labels smoothed by the votes"
        )
        words.append(f"{how} of {_file_name(config.votes)}")
    text = ", ".join(words)
    if config.val_fraction:
        text += f"; {config.val_fraction:g} of each class held out by seed {config.seed}"
    return text


def _file_name(path: str) -> str:
    return Path(path).name or Path(path).resolve().name


def export(
    predictor: KerasPredictor,
    heads: Sequence[str],
    faces: Faces,
    options: argparse.Namespace,
    path: Path,
    float32: Path | None = None,
) -> str:
    """Write and verify ``path``, and with ``--int8`` its ``float32`` version; returns a report.

    Args:
        predictor: the trained network.
        heads: ``"fer2013"`` or ``"ferplus"`` for each of its outputs.
        faces: those that calibrate and verify.
        options: those of the command.
        path: the file.
        float32: the second file, or None.

    Raises:
        ModelError: a check failed.
    """
    calibration = _calibration(predictor, heads, faces, options)
    temperatures = calibration.temperatures
    contract = ModelContract(
        name=options.name or options.out.stem,
        labels=predictor.classes,
        temperature=round(temperatures[DEFAULT_OUTPUT], 6),
        trained_on=options.trained_on,
        outputs=_meanings(heads, options.head_blend),
        priors={name: prior.round(6).tolist() for name, prior in calibration.priors.items()},
        level_prior=calibration.level.round(6).tolist(),
        likeness=LIKENESS if calibration.likeness else "",
    )
    plain = path.with_suffix(".float32.onnx") if options.int8 else path
    convert(merged_heads(predictor.model, calibration), plain)
    write_metadata(plain, contract)
    lines = [f"temperature {', '.join(f'{k} {v:.3f}' for k, v in temperatures.items())}"]
    for what, table in (
        ("offsets added to the logits", calibration.offsets),
        ("prior, the class frequencies for which the probabilities hold,", calibration.priors),
    ):
        for output, values in table.items():
            pairs = zip(predictor.classes, values, strict=True)
            shown = ", ".join(f"{name} {value:.3f}" for name, value in pairs)
            lines.append(f"{what} of {output}: {shown}")
    # The reference is the network before folding, so that errors of folding show too.
    reference = probability_model(predictor.original, calibration)
    sources = (faces.validation, faces.train)
    count, difference = parity(reference, plain, sources)
    lines.append(f"ONNX against Keras on {count} faces: largest difference {difference:.1e}")
    if not difference <= PARITY:
        raise ModelError(f"{lines[-1]}, above {PARITY:.0e}; nothing was written")
    reports = _measure(plain, faces.judged)
    if plain is not path:
        quantise(plain, path, faces.train)
        small = replace(contract, quantisation="int8")
        write_metadata(path, small)
        before, reports = reports, _measure(path, faces.judged)
        for output in reports:
            reference_name, was, now = _accuracies(output, heads, before[output], reports[output])
            lines.append(
                f"{output}, {reference_name} on {faces.split}: INT8 {100 * now:.2f} %, "
                f"float32 {100 * was:.2f} %"
            )
            if was - now > options.allow_drop:
                raise ModelError(
                    f"{lines[-1]}: a drop of {100 * (was - now):.2f} points, above "
                    f"{100 * options.allow_drop:.2f}; allow it with --allow-drop; nothing was "
                    "written"
                )
        if float32 is not None:
            store_halved(plain, float32)
            _, difference = parity(reference, float32, sources, tuple(contract.outputs))
            lines.append(f"with weights in half precision: {difference:.1e}")
            if not difference <= HALF_PARITY:
                plain.replace(float32)
                lines[-1] += f", above {HALF_PARITY:.0e}: weights stored in float32"
            _finish(float32, contract, _measure(float32, faces.judged), faces.split)
        plain.unlink(missing_ok=True)
        contract = small
    _finish(path, contract, reports, faces.split)
    for output, report in reports.items():
        lines.append(f"{output} on {faces.split}: {_figures(report)}")
        if majority := report.get("ferplus"):
            lines.append(f"{output} against the FER+ majority: {_figures(majority)}")
    lines += _photo_lines(path, options)
    if missing := [name for name in EMOTIONS if name not in predictor.classes]:
        lines.append(f"fastfer sets the probability of {' and '.join(missing)} to 0")
    return "\n".join(lines)


def _figures(report: dict[str, Any]) -> str:
    return (
        f"accuracy {100 * report['accuracy']:.2f} %, mean recall {report['mean_recall']:.3f}, "
        f"macro-F1 {report['macro_f1']:.4f}, expected calibration error {report['ece']:.4f}"
    )


def _calibration(
    predictor: KerasPredictor, heads: Sequence[str], faces: Faces, options: argparse.Namespace
) -> Calibration:
    prior = options.prior or ("level" if len(heads) > 1 else LEARNT)
    found = calibrate(
        training_logits(predictor, heads, faces.train),
        head_logits(predictor, heads, faces.validation),
        faces.validation,
        predictor.classes,
        head_blend=options.head_blend,
        level_share=options.level_share,
        prior=None if prior == LEARNT else read_prior(prior),
    )
    if options.nonfaces is None:
        return found
    return replace(found, likeness=likeness(predictor, faces.train, options.nonfaces))


def _photo_lines(path: Path, options: argparse.Namespace) -> list[str]:
    """The figures of every output of ``path`` on ``--photos``."""
    if options.photos is None:
        return []
    photos = read_photos(options.photos)
    predictor = load_predictor(path, 1)
    if predictor.classes != EMOTIONS:
        raise UsageError("--photos needs a network of seven classes")
    lines = []
    for head in predictor.heads:
        for crop, about in PHOTO_CROPS.items():
            found = predictor.predict(photos[crop], head)
            report = summary(found, photos["labels"], EMOTIONS, predictor.prior(head))
            lines.append(f"{head} on photos, {about}: {_figures(report)}")
    return lines


def _finish(
    path: Path, contract: ModelContract, reports: dict[str, dict[str, Any]], split: str
) -> None:
    """Add the metrics to the metadata, and check the finished file."""
    import onnx

    write_metadata(path, replace(contract, metrics=_metrics(reports, split)))
    left = {n.op_type for n in onnx.load(path).graph.node} & TRAINING_ONLY
    if left:
        raise ModelError(f"training-only nodes in the graph: {', '.join(sorted(left))}")
    # The classifier refuses what it cannot run.
    load_predictor(path, 1)


def _measure(path: Path, source: FaceSource) -> dict[str, dict[str, Any]]:
    """Metrics of every output of an ONNX file, run by fastfer's classifier."""
    predictor = load_predictor(path, 1)
    return {
        head: evaluate.figures(
            evaluate.predict(predictor, source, head),
            source,
            predictor.classes,
            predictor.prior(head),
        )
        for head in predictor.heads
    }


def _accuracies(
    output: str, heads: Sequence[str], *reports: dict[str, Any]
) -> tuple[str, float, float]:
    """The reference of an output, the one its head was trained on, and the accuracies of two files.

    The reference of a blend is the FER+ majority.
    """
    if output == DEFAULT_OUTPUT and FERPLUS in heads:
        was, now = (report["ferplus"]["accuracy"] for report in reports)
        return "FER+ majority", was, now
    was, now = (report["accuracy"] for report in reports)
    return "FER-2013 labels", was, now


def parity(
    graph: keras.Model,
    path: Path,
    sources: Sequence[FaceSource],
    outputs: Sequence[str] = (),
) -> tuple[int, float]:
    """Number of faces compared, those of the first source first, and the largest difference of
    ``outputs``, by default all, between Keras and ONNX Runtime."""
    import onnxruntime

    parts: list[NDArray[np.uint8]] = []
    for source in sources:
        missing = PARITY_FACES - sum(map(len, parts))
        if missing:
            parts.append(spread(source, missing))
    faces = as_batch(np.concatenate(parts))
    expected = graph.predict(faces, batch_size=256, verbose=0)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = outputs or [o.name for o in session.get_outputs()]
    got = dict(zip(names, session.run(names, {INPUT: faces}), strict=True))
    return len(faces), max(float(np.abs(expected[name] - got[name]).max()) for name in names)


def _meanings(heads: Sequence[str], blend: float) -> dict[str, str]:
    votes, labels = HEADS["ferplus"], HEADS["fer2013"]
    if len(heads) == 1:
        return {DEFAULT_OUTPUT: votes if FERPLUS in heads else labels}
    parts = [
        part if share == 1 else f"{share:g} {part}"
        for part, share in ((votes, blend), (labels, 1 - blend))
        if share
    ]
    return {DEFAULT_OUTPUT: " + ".join(parts), FER2013: labels}


def _metrics(reports: dict[str, dict[str, Any]], split: str) -> dict[str, float]:
    """Metrics for the metadata; the names of those of the second output contain it."""
    found: dict[str, float] = {}
    for output, report in reports.items():
        where = split if output == DEFAULT_OUTPUT else f"{split}/{output}"
        measures = ("accuracy", "mean_recall", "macro_f1", "ece")
        found |= {f"{k}/{where}": round(report[k], 4) for k in measures}
        if "ferplus" in report:
            majority = report["ferplus"]
            found |= {f"{k}/{where}/FER+": round(majority[k], 4) for k in measures}
    return found


def write_metadata(path: Path, contract: ModelContract) -> None:
    """Replace the metadata of an ONNX file by ``contract``."""
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, contract.to_metadata())
    model.producer_name = "fastfer"
    onnx.save(model, path)


if __name__ == "__main__":
    sys.exit(main())
