"""Evaluate and compare networks: ``python -m training.evaluate MODEL [MODEL ...] --data PATH``."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.errors import InputError, UsageError
from fastfer.labels import EMOTIONS
from training.common.options import run_command, whole
from training.expression import metrics
from training.expression.data import CLASSES, Dataset, load_dataset
from training.expression.face_sources import FaceSource, as_batch
from training.expression.metrics import Doubles, Ints
from training.expression.predictors import (
    Floats,
    Predictor,
    add_tta_option,
    class_list,
    load_predictor,
    with_tta,
)

TIMED_BATCHES = (1, 8, 32)
TIMED_SECONDS = 1.0
CHUNK = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.evaluate", description=__doc__)
    p.add_argument("models", nargs="+", help="run folders, .keras or .onnx files")
    p.add_argument("--data", required=True, help="CSV or folder, as for training")
    p.add_argument("--votes", help="FER+ votes: also measure against their majority")
    p.add_argument(
        "--split",
        help="Usage of the CSV or name of a folder (default: the validation split: PublicTest, or "
        "folder validation, val or test)",
    )
    p.add_argument(
        "--val-fraction", type=float, metavar="SHARE",
        help="measure on the training faces that a run of the same seed held out",
    )  # fmt: skip
    p.add_argument("--seed", type=whole(0), default=0, help="random seed of --val-fraction (0)")
    p.add_argument(
        "--classes", type=int, help="7, or 5 without disgust and fear (default: as the first model)"
    )
    p.add_argument("--skip-bad", action="store_true", help="skip bad rows and images")
    add_tta_option(p)
    p.add_argument("--threads", type=whole(1), default=1, help="threads of ONNX Runtime (1)")
    p.add_argument(
        "--out", type=Path,
        help="folder of the report (default: that of a single Keras model, else ./report)",
    )  # fmt: skip
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from training.common.output_files import write_json, write_text
    from training.common.plots import curves
    from training.common.run_folder import LOG
    from training.expression import plots

    predictors = [load_predictor(path, options.threads) for path in options.models]
    known = (len(p.classes) for p in predictors if len(p.classes) in CLASSES)
    classes = options.classes or next(known, len(EMOTIONS))
    dataset = load_dataset(
        options.data, votes=options.votes, classes=classes, skip_bad=options.skip_bad
    )
    for predictor in predictors:
        if predictor.classes != dataset.classes:
            raise UsageError(
                f"{predictor.path} has {class_list(predictor.classes)}, the data "
                f"{class_list(dataset.classes)}; see --classes"
            )
    source, split = _chosen(dataset, options)
    own = len(predictors) == 1 and predictors[0].path.suffix == ".keras"
    out: Path = options.out or (predictors[0].path.parent if own else Path("report"))
    out.mkdir(parents=True, exist_ok=True)
    predictors = [with_tta(p, options.tta) for p in predictors]
    heads = [
        (f"{name}-{head}" if len(predictor.heads) > 1 else name, predictor, head)
        for name, predictor in zip(_names(options.models), predictors, strict=True)
        for head in predictor.heads
    ]
    times = {id(p): time_per_face(p, source) for p in predictors}
    reports: dict[str, dict[str, Any]] = {}
    for name, predictor, head in heads:
        probabilities = predict(predictor, source, head)
        report = figures(probabilities, source, dataset.classes, predictor.prior(head))
        report |= {
            "output": head,
            "split": split,
            "tta": options.tta,
            "bytes": predictor.bytes,
            "ms_per_face": times[id(predictor)],
        }
        reports[name] = report
        suffix = "" if len(heads) == 1 else f"-{name}"
        for view, predicted, labels in _views(probabilities, source):
            table = metrics.confusion(predicted, labels)
            plots.confusion(table.tolist(), dataset.classes, out / f"confusion{suffix}{view}.png")
            plots.reliability(
                *metrics.reliability(predicted, labels),
                metrics.calibration_error(predicted, labels),
                out / f"reliability{suffix}{view}.png",
            )
        log = predictor.path.parent / LOG
        if predictor.path.suffix == ".keras" and log.exists() and head == predictor.heads[0]:
            curves(_read_log(log), out / f"curves{suffix}.png")
    write_json(out / "report.json", reports)
    text = markdown(reports, dataset.classes)
    write_text(out / "report.md", text)
    if len(predictors) > 1:
        plots.accuracy_against_latency(reports, out / "comparison.png")
    print(text)
    print(f"wrote {out}/report.json, report.md and the plots next to them", file=sys.stderr)
    return 0


def _chosen(dataset: Dataset, options: argparse.Namespace) -> tuple[FaceSource, str]:
    """The faces to measure on, and their name in the report."""
    if options.val_fraction is not None:
        if options.split:
            raise UsageError("--split and --val-fraction both choose the faces; omit one of them")
        _, held = dataset.training_and_validation(options.val_fraction, options.seed)
        return held, f"{options.val_fraction:g} of the training faces, held out"
    name = options.split or dataset.validation
    if name is None:
        raise UsageError(
            f"the data has no validation split; it has {', '.join(dataset.splits)}; choose one "
            "with --split, or the faces that a run held out with its --val-fraction and --seed"
        )
    return dataset.split(name), name


def predict(predictor: Predictor, source: FaceSource, head: str | None = None) -> Floats:
    """Probabilities (N, classes) of all faces, read in chunks."""
    parts = []
    for start in range(0, len(source), CHUNK):
        indices = np.arange(start, min(start + CHUNK, len(source)))
        faces = as_batch(source.load(indices))
        parts.append(predictor.predict(faces, head))
    return np.concatenate(parts)


def figures(
    probabilities: Floats,
    source: FaceSource,
    classes: Sequence[str],
    prior: Doubles | None = None,
) -> dict[str, Any]:
    """Accuracy, F1, mean recall and calibration error; with votes, also against the FER+ majority.

    The faces of the calibration error are weighted to ``prior``, if it is known.
    """
    (_, predicted, labels), *more = _views(probabilities, source)
    report = metrics.summary(predicted, labels, classes, prior)
    for _, predicted, labels in more:
        majority = metrics.summary(predicted, labels, classes, prior)
        report["ferplus"] = {
            k: majority[k] for k in ("faces", "accuracy", "macro_f1", "mean_recall", "ece")
        }
    return report


def _views(probabilities: Floats, source: FaceSource) -> list[tuple[str, Floats, Ints]]:
    """File suffix, probabilities and labels: of the FER-2013 labels, and with votes also of the
    FER+ majority."""
    views = [("", probabilities, source.labels)]
    if source.votes is not None:
        voted = source.votes.any(axis=1)
        views.append(("-ferplus", probabilities[voted], source.votes[voted].argmax(axis=1)))
    return views


def time_per_face(predictor: Predictor, source: FaceSource) -> dict[str, float]:
    """Median milliseconds per face at batch 1, 8 and 32."""
    faces = as_batch(source.load(np.arange(min(32, len(source)))))
    result = {}
    for batch in TIMED_BATCHES:
        part = np.ascontiguousarray(np.resize(faces, (batch, *faces.shape[1:])))
        predictor.predict(part)
        times: list[float] = []
        while sum(times) < TIMED_SECONDS and len(times) < 200:
            start = time.perf_counter()
            predictor.predict(part)
            times.append(time.perf_counter() - start)
        result[str(batch)] = round(float(np.median(times)) * 1000 / batch, 4)
    return result


def markdown(reports: dict[str, dict[str, Any]], classes: Sequence[str]) -> str:
    """A table that compares the models, and one per model by class."""
    voted = all("ferplus" in r for r in reports.values())
    head = ["model", "accuracy", "mean recall", "macro-F1", "ECE"]
    head += ["ms per face at batch 1 / 8 / 32", "MB"]
    if voted:
        head[5:5] = ["FER+ majority", "FER+ mean recall", "FER+ ECE"]
    any_report = next(iter(reports.values()))
    tta = ", averaged with mirror images" if any_report["tta"] == "flip" else ""
    lines = [
        f"Measured on {any_report['split']} ({any_report['faces']} faces{tta}).",
        "",
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
    ]
    for name, r in reports.items():
        row = [
            name,
            f"{100 * r['accuracy']:.2f} %",
            f"{r['mean_recall']:.3f}",
            f"{r['macro_f1']:.4f}",
            f"{r['ece']:.4f}",
            " / ".join(f"{r['ms_per_face'][str(b)]:.2f}" for b in TIMED_BATCHES),
            f"{r['bytes'] / 1e6:.2f}",
        ]
        if voted:
            majority = r["ferplus"]
            row[5:5] = [
                f"{100 * majority['accuracy']:.2f} %",
                f"{majority['mean_recall']:.3f}",
                f"{majority['ece']:.4f}",
            ]
        lines.append("| " + " | ".join(row) + " |")
    lines += [
        "",
        "ECE: expected calibration error; the faces are weighted to the prior that an ONNX file "
        "states. MB: size of an ONNX file, or of the float32 weights of a Keras file.",
    ]
    for name, r in reports.items():
        lines += ["", f"**{name}**", "", "| emotion | faces | precision | recall | F1 |"]
        lines.append("|" + " --- |" * 5)
        for c in classes:
            k = r["per_class"][c]
            lines.append(
                f"| {c} | {k['faces']} | {k['precision']:.3f} | {k['recall']:.3f} | {k['f1']:.3f} |"
            )
    return "\n".join(lines) + "\n"


def _names(paths: Sequence[str]) -> list[str]:
    """Short, distinct names of the models."""
    names = [Path(p).name if Path(p).is_dir() else Path(p).stem for p in paths]
    if len(set(names)) < len(names):
        names = [f"{Path(p).resolve().parent.name}-{n}" for n, p in zip(names, paths, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{i}-{n}" for i, n in enumerate(names, 1)]
    return names


def _read_log(path: Path) -> list[dict[str, float]]:
    try:
        with path.open(newline="", encoding="utf-8") as f:
            return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(f)]
    except (ValueError, TypeError, csv.Error) as e:
        raise InputError(f"{path}: not the log of a run: {e}", code="damaged") from None


if __name__ == "__main__":
    sys.exit(main())
