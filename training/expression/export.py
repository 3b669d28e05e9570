"""Turn a run into a checked ONNX file: ``python -m training.export RUN --out model.onnx``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray

from fastfer.classifiers.contract import HEADS, ModelContract
from fastfer.errors import ModelError, OutputError, UsageError
from fastfer.labels import EMOTIONS
from training.common.options import run_command, share
from training.common.run_folder import CONFIG, read_json
from training.expression import evaluate
from training.expression.batches import CROWD, FER2013
from training.expression.calibration import (
    INPUT,
    LabelledLogits,
    calibrate,
    head_logits,
    merged_heads,
    photo_logits,
    probability_model,
)
from training.expression.data import CLASSES, FaceSource, as_batch, load_dataset
from training.expression.onnx_graph import convert, quantise, spread
from training.expression.predictors import DEFAULT_OUTPUT, KerasPredictor, load_predictor

PARITY_FACES = 512
PARITY = 1e-4
INT8_DROP = 0.005
TRAINING_ONLY = {"Dropout", "RandomUniform", "RandomNormal", "BatchNormalization", "Bernoulli"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    p.add_argument("run", help="run folder, or a .keras file")
    p.add_argument("--out", required=True, type=Path, help="the .onnx file to write")
    p.add_argument("--data", help="CSV or folder; the run's own where it is left out")
    p.add_argument("--votes", help="FER+ votes; the run's own where they are left out")
    p.add_argument("--name", help="name in the metadata (the file's)")
    p.add_argument(
        "--trained-on", help="said in the metadata (the run's own data, split and votes)"
    )
    p.add_argument("--skip-bad", action="store_true", help="leave bad rows out, do not stop")
    p.add_argument("--int8", action="store_true", help="quantise: static QDQ, per channel")
    p.add_argument(
        "--twin", type=Path, metavar="FILE",
        help="with --int8: also write the network in float32, for machines on which INT8 is slower",
    )  # fmt: skip
    p.add_argument(
        "--allow-drop", type=share, default=INT8_DROP,
        help=f"largest loss of accuracy by --int8, a fraction of 1 ({INT8_DROP})",
    )  # fmt: skip
    p.add_argument(
        "--crowd-share", type=share, default=0.7,
        help="of the votes head in the default output of a two-headed network (0.7)",
    )  # fmt: skip
    p.add_argument(
        "--wild", type=Path, metavar="FILE.npz",
        help="labelled photos (as training.expression.robustness takes them): how frequent each emotion is "
        "there, too, calibrates the default output of a network that learnt votes",
    )  # fmt: skip
    options = p.parse_args(arguments)
    return run_command(lambda: _anywhere(options, sys.argv[1:] if arguments is None else arguments))


def _anywhere(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    """The export, whatever backend this process has."""
    _check_options(options)
    return _run(options) if keras.backend.backend() == "tensorflow" else _in_tensorflow(arguments)


def _check_options(options: argparse.Namespace) -> None:
    for option, path in (("--out", options.out), ("--twin", options.twin)):
        if path is not None and path.suffix != ".onnx":
            raise UsageError(f"{option} {path}: the name must end in .onnx")
        if path is not None:
            _check_place(option, path)
    if options.twin is not None and not options.int8:
        raise UsageError("--twin is the float32 twin of an INT8 file: add --int8")
    if options.twin is not None and options.twin.resolve() == options.out.resolve():
        raise UsageError(f"--out and --twin are both {options.out}: give the twin another name")
    missing = [name for name in ("tensorflow", "tf2onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"export goes through TensorFlow, whatever network was trained on: pip install "
            f"{' '.join(missing)}"
        )


def _check_place(option: str, path: Path) -> None:
    """OutputError unless a file can be put at ``path``, whose folders need not exist yet."""
    if path.is_dir():
        raise OutputError(f"{option} {path}: a folder; give the name of a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise OutputError(f"{option} {path}: {folder} is not a folder; give another place")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{option} {path}: {folder} cannot be written to; give another place")


def _in_tensorflow(arguments: Sequence[str]) -> int:
    """Run the same command on the backend that writes ONNX: a .keras file is the same for all."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "training.expression.export", *arguments],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": path},
        check=False,
    )
    return done.returncode


@dataclass(frozen=True)
class Faces:
    """What an export is made and judged by."""

    train: FaceSource
    """Give the ranges of INT8."""
    validation: FaceSource
    """Give the temperature."""
    judged: FaceSource
    """Give the accuracy: the data's own validation split, also where the run held faces out."""
    split: str
    """Name of ``judged``."""


def _run(options: argparse.Namespace) -> int:
    # Whatever was trained in this process before: the exported graph computes in float32.
    keras.config.set_dtype_policy("float32")
    config = _configuration(Path(options.run))
    predictor = load_predictor(options.run)
    if not isinstance(predictor, KerasPredictor):
        raise UsageError(f"{options.run}: export takes a run folder or a .keras file")
    if len(predictor.classes) not in CLASSES:
        raise UsageError(
            f"{options.run}: the network knows {len(predictor.classes)} classes; fastfer reads the "
            f"seven {', '.join(EMOTIONS)}, or five of them. Train it with --classes 7 or 5."
        )
    data = options.data or config.get("data")
    if data is None:
        raise UsageError(
            "--data is needed to calibrate and to verify: no configuration of a run lies beside "
            f"{options.run}"
        )
    dataset = load_dataset(
        data,
        votes=options.votes or config.get("votes"),
        classes=len(predictor.classes),
        skip_bad=options.skip_bad or config.get("skip_bad", False),
    )
    learnt = predictor.heads
    if len(learnt) == 1:
        learnt = (CROWD,) if config.get("targets") == "votes" else (FER2013,)
    train, val = dataset.training_and_validation(config.get("val_fraction"), config.get("seed", 0))
    split = dataset.validation
    faces = Faces(train, val, dataset.split(split) if split else val, split or "validation")
    if options.trained_on is None:
        options.trained_on = _trained_on(config, dataset.training)
    targets = [path for path in (options.out, options.twin) if path is not None]
    with ExitStack() as stack:
        # Beside its place, each file comes into being; it moves there when all checks are passed.
        candidates = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_folder(path)))) / path.name
            for path in targets
        ]
        report = export(predictor, learnt, faces, options, *candidates)
        sizes = [path.stat().st_size for path in candidates]
        _put_in_place(candidates, targets)
    print(report)
    for path, size in zip(targets, sizes, strict=True):
        print(f"wrote {path}, {size:,} bytes")
    return 0


def _put_in_place(candidates: Sequence[Path], targets: Sequence[Path]) -> None:
    """Move each file to its target, or, where one cannot be moved, leave all targets as they were.

    What a target held is kept beside its candidate meanwhile.
    """
    with ExitStack() as undo:
        for candidate, path in zip(candidates, targets, strict=True):
            kept = candidate.with_name(candidate.name + ".kept")
            if path.is_file():
                # A copy, so that the target is there at every moment.
                shutil.copy2(path, kept)
            candidate.replace(path)
            if kept.exists():
                undo.callback(kept.replace, path)
            else:
                undo.callback(path.unlink)
        undo.pop_all()


def _configuration(run: Path) -> dict[str, Any]:
    """How the network was trained; nothing for a .keras file that lies in no run folder."""
    folder = run if run.is_dir() else run.parent
    known = run.is_dir() or (run.is_file() and (folder / CONFIG).exists())
    return dict(read_json(folder / CONFIG)) if known else {}


def _trained_on(config: Mapping[str, Any], split: str | None) -> str:
    """What a run learnt from, by its configuration: ``split`` of the data, votes, the held-out."""
    if not config.get("data"):
        return "unknown"
    words = [f"{_file_name(config['data'])} {split or ''}".strip()]
    targets = config.get("targets", "labels")
    if config.get("votes") and (targets != "labels" or config.get("vote_smoothing")):
        how = {"votes": "votes", "both": "labels and votes"}.get(
            targets, "labels smoothed by the votes"
        )
        words.append(f"{how} of {_file_name(config['votes'])}")
    said = ", ".join(words)
    if config.get("val_fraction"):
        share, seed = config["val_fraction"], config.get("seed", 0)
        said += f"; {share:g} of each class held out by seed {seed}"
    return said


def _file_name(path: str) -> str:
    return Path(path).name or Path(path).resolve().name


def export(
    predictor: KerasPredictor,
    learnt: Sequence[str],
    faces: Faces,
    options: argparse.Namespace,
    path: Path,
    twin: Path | None = None,
) -> str:
    """Write and verify ``path``, and its float32 ``twin``; returns what to tell the user.

    Args:
        predictor: the trained network.
        learnt: what each of its heads learnt from, ``"fer2013"`` or ``"crowd"``.
        faces: those that calibrate and verify.
        options: those of the command.
        path: the file.
        twin: the file in float32, with ``--int8``.

    Raises:
        ModelError: a check failed; the message says which.
    """
    share = options.crowd_share
    logits = head_logits(predictor, learnt, faces.validation)
    calibration = calibrate(logits, faces.validation, share, _photos(predictor, learnt, options))
    temperatures = calibration.temperatures
    contract = ModelContract(
        name=options.name or options.out.stem,
        labels=predictor.classes,
        temperature=round(temperatures[DEFAULT_OUTPUT], 6),
        trained_on=options.trained_on,
        outputs=_meanings(learnt, share),
    )
    plain = twin or (path.with_suffix(".float32.onnx") if options.int8 else path)
    convert(merged_heads(predictor.model, calibration), plain)
    _describe(plain, contract)
    lines = [f"temperature {', '.join(f'{k} {v:.3f}' for k, v in temperatures.items())}"]
    for output, offsets in calibration.offsets.items():
        if offsets.any():
            said = zip(predictor.classes, offsets, strict=True)
            shown = ", ".join(f"{name} {value:+.2f}" for name, value in said)
            lines.append(f"offsets of {output} {shown}")
    # Held against the network as it was trained, so that a fault in folding shows as well.
    unfolded = probability_model(predictor.original, calibration)
    count, difference = parity(unfolded, plain, (faces.validation, faces.train))
    fewer = "" if count == PARITY_FACES else ", all there are"
    lines.append(f"ONNX against Keras on {count} faces{fewer}: largest difference {difference:.1e}")
    if not difference <= PARITY:
        raise ModelError(f"{lines[-1]}, more than {PARITY:.0e}; nothing was written")
    reports = _measure(plain, faces.judged)
    if plain is not path:
        quantise(plain, path, faces.train)
        small = replace(contract, quantisation="int8")
        _describe(path, small)
        before, reports = reports, _measure(path, faces.judged)
        for output in reports:
            judge, was, now = _accuracies(output, learnt, before[output], reports[output])
            lines.append(
                f"{output}, {judge} on {faces.split}: INT8 {now:.2%} against float32 {was:.2%}"
            )
            if was - now > options.allow_drop:
                raise ModelError(
                    f"{lines[-1]}, a drop of {100 * (was - now):.2f} points, more than "
                    f"{100 * options.allow_drop:.2f}. Allow it with --allow-drop; nothing was "
                    "written"
                )
        _finish(plain, contract, before, faces.split)
        contract = small
    _finish(path, contract, reports, faces.split)
    for output, report in reports.items():
        lines.append(
            f"{output} on {faces.split}: accuracy {report['accuracy']:.2%}, macro-F1 "
            f"{report['macro_f1']:.4f}, expected calibration error {report['ece']:.4f}"
        )
        if crowd := report.get("ferplus"):
            lines.append(
                f"{output} against FER+ majority: accuracy {crowd['accuracy']:.2%}, macro-F1 "
                f"{crowd['macro_f1']:.4f}, expected calibration error {crowd['ece']:.4f}"
            )
    if unknown := [name for name in EMOTIONS if name not in predictor.classes]:
        lines.append(f"fastfer gives {' and '.join(unknown)} the probability 0 with this network")
    return "\n".join(lines)


def _photos(
    predictor: KerasPredictor, learnt: Sequence[str], options: argparse.Namespace
) -> list[LabelledLogits]:
    """What the network says of the photos of ``--wild``, crop by crop."""
    if options.wild is None:
        return []
    if CROWD not in learnt or predictor.classes != EMOTIONS:
        raise UsageError(
            "--wild calibrates for photos what the crowd's votes taught: a network of seven "
            "classes trained with --targets votes or both"
        )
    return list(photo_logits(predictor, learnt, options.wild).values())


def _finish(
    path: Path, contract: ModelContract, reports: dict[str, dict[str, Any]], split: str
) -> None:
    """Write the figures into the metadata, and see that the file as it is now can be used."""
    _describe(path, replace(contract, metrics=_metrics(reports, split)))
    left = {n.op_type for n in onnx.load(path).graph.node} & TRAINING_ONLY
    if left:
        raise ModelError(f"training-only nodes in the graph: {', '.join(sorted(left))}")
    # The classifier is the last judge: it refuses what it cannot honour.
    load_predictor(path, 1)


def _measure(path: Path, source: FaceSource) -> dict[str, dict[str, Any]]:
    """The figures of every output of an ONNX file, through the classifier that serves users."""
    predictor = load_predictor(path, 1)
    return {
        head: evaluate.figures(evaluate.predict(predictor, source, head), source, predictor.classes)
        for head in predictor.heads
    }


def _accuracies(
    output: str, learnt: Sequence[str], *reports: dict[str, Any]
) -> tuple[str, float, float]:
    """What an output is judged by, which is what it learnt, and the accuracies of two files.

    The blend of two heads is the crowd's.
    """
    if output == DEFAULT_OUTPUT and CROWD in learnt:
        was, now = (report["ferplus"]["accuracy"] for report in reports)
        return "FER+ majority", was, now
    was, now = (report["accuracy"] for report in reports)
    return "FER-2013 labels", was, now


def parity(graph: keras.Model, path: Path, sources: Sequence[FaceSource]) -> tuple[int, float]:
    """How many real faces were asked about, those of the first source first, and the largest
    difference of any output between Keras and ONNX Runtime."""
    import onnxruntime

    parts: list[NDArray[np.uint8]] = []
    for source in sources:
        missing = PARITY_FACES - sum(map(len, parts))
        if missing:
            parts.append(spread(source, missing))
    faces = as_batch(np.concatenate(parts))
    expected = graph.predict(faces, batch_size=256, verbose=0)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    got = dict(zip(names, session.run(names, {INPUT: faces}), strict=True))
    return len(faces), max(float(np.abs(expected[name] - got[name]).max()) for name in names)


def _meanings(learnt: Sequence[str], crowd_share: float) -> dict[str, str]:
    votes, labels = HEADS["ferplus"], HEADS["fer2013"]
    if len(learnt) == 1:
        return {DEFAULT_OUTPUT: votes if CROWD in learnt else labels}
    parts = [
        part if share == 1 else f"{share:g} {part}"
        for part, share in ((votes, crowd_share), (labels, 1 - crowd_share))
        if share
    ]
    return {DEFAULT_OUTPUT: " + ".join(parts), FER2013: labels}


def _metrics(reports: dict[str, dict[str, Any]], split: str) -> dict[str, float]:
    """Figures for the metadata; those of the second output carry its name."""
    found: dict[str, float] = {}
    for output, report in reports.items():
        where = split if output == DEFAULT_OUTPUT else f"{split}/{output}"
        found |= {f"{k}/{where}": round(report[k], 4) for k in ("accuracy", "macro_f1", "ece")}
        if "ferplus" in report:
            found |= {
                f"{k}/{where}/FER+": round(report["ferplus"][k], 4) for k in ("accuracy", "ece")
            }
    return found


def _describe(path: Path, contract: ModelContract) -> None:
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
