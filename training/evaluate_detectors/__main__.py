"""Measure face detectors on labelled photos, all in one run:

    python -m training.evaluate_detectors nano yunet haar --data ../shared/data/facedet --out report

Each detector is a run folder, a .keras file, or what ``--detector`` of the commands accepts;
``cv2:FILE`` is OpenCV's own YuNet. ``--refiner`` names another second stage for runs, .keras files
and ``nano``. One thread; boxes are matched at IoU 0.4, each with one face.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fastfer.cli.arguments import CommandParser
from fastfer.detectors import Detector, create_detector
from fastfer.errors import UsageError
from training.common.options import run_command, whole
from training.evaluate_detectors.contact_sheet import write_worst
from training.evaluate_detectors.labelled_photos import read_dlib_photos, read_labels
from training.evaluate_detectors.measure import curve, curve_figures, default_figures, measure
from training.evaluate_detectors.opencv_yunet import OpenCVYuNet
from training.evaluate_detectors.roll import ROTATIONS, roll_errors
from training.refiner.export import add_score_options

LOW_SCORE = 0.05
"""Threshold of the detectors whose curves are drawn."""

HEADER = f"""\
| detector | recall | false alarms a photo | on an empty photo | recall under 4 % / 4 to 8 % / \
over 8 % of the long side | recall at 0.02 / 0.05 / 0.1 false alarms a photo | average precision | \
landmark error, 24 to 40 px / larger | roll error of heads rotated by {ROTATIONS[1]:.0f} degrees | \
ms a photo |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.evaluate_detectors", description=(__doc__ or "").splitlines()[0]
    )
    p.add_argument("detector", nargs="+", help="run folder, .keras file, or detector")
    p.add_argument(
        "--data", required=True, type=Path, action="append",
        help="folder with labels.jsonl and images/, or of dlib's examples; may be repeated",
    )  # fmt: skip
    p.add_argument("--out", type=Path, help="folder for report.md, report.json and curves")
    p.add_argument(
        "--size", type=whole(32), action="append",
        help="detection size in pixels; may be repeated (default: the detector's own)",
    )  # fmt: skip
    p.add_argument("--refiner", metavar="RUN", help="run folder, .keras or .onnx file, or 'none'")
    add_score_options(p)
    p.add_argument(
        "--worst", type=whole(1), metavar="N", help="write the N worst photos of each detector"
    )
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.worst and not options.out:
        raise UsageError("--worst needs --out, the folder to write to")
    cv2.setNumThreads(1)
    if options.out:  # What is missing is said before the work.
        import matplotlib  # noqa: F401
    with tempfile.TemporaryDirectory() as work:
        refiner = _second_stage(options, Path(work) / "refiner.onnx")
        for data in options.data:
            _report(options, data, refiner)
    return 0


def _report(options: argparse.Namespace, data: Path, refiner: str | None) -> None:
    photos = read_labels(data) if (data / "labels.jsonl").exists() else read_dlib_photos(data)
    if not photos:
        raise UsageError(f"{data}: neither labels.jsonl nor *.xml with boxes")
    frames = [photo.read() for photo in photos]
    faces, empty = sum(len(photo.faces) for photo in photos), sum(photo.empty for photo in photos)
    print(f"\n{data.name}: {len(photos)} photos, {faces} faces, {empty} photos without\n\n{HEADER}")
    reports, curves, rows = {}, {}, [HEADER]
    for spec in options.detector:
        for size in options.size or [None]:
            name = _short(spec) + (f" {size}" if size else "")
            at_default = measure(open_detector(spec, size, refiner), photos, frames)
            detector = open_detector(spec, size, refiner, LOW_SCORE)
            at_low = measure(detector, photos, frames)
            errors = roll_errors(detector, photos, frames)
            reports[name] = default_figures(at_default, photos) | curve_figures(at_low, photos)
            reports[name]["roll"] = float(np.median(errors)) if errors else math.nan
            curves[name] = tuple(part.tolist() for part in curve(at_low, photos))
            rows.append(format_row(name, reports[name]))
            print(rows[-1], flush=True)
            if options.worst:
                folder = options.out / f"worst-{data.name}-{name.replace(' ', '-')}"
                write_worst(at_default, photos, frames, options.worst, folder)
    if options.out:
        from training.common import plots
        from training.common.output_files import write_json

        folder = options.out / data.name if len(options.data) > 1 else options.out
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "report.json", {n: _finite(report) for n, report in reports.items()})
        (folder / "report.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
        plots.recall_curves(curves, folder / "recall.png")


def _finite(report: dict[str, float]) -> dict[str, float | None]:
    """JSON has null for what could not be measured."""
    return {name: value if math.isfinite(value) else None for name, value in report.items()}


def format_row(name: str, r: dict[str, float]) -> str:
    """A row of the report."""
    sizes = " / ".join(
        f"{100 * r[n]:.1f} %" for n in ("recall_under_4", "recall_4_to_8", "recall_over_8")
    )
    rates = " / ".join(f"{100 * (r[f'recall_at_{rate}']):.1f} %" for rate in (0.02, 0.05, 0.1))
    return (
        f"| {name} | {100 * r['recall']:.1f} % | {r['alarms']:.3f} | {r['alarms_on_empty']:.2f} | "
        f"{sizes} | "
        f"{rates} | {r['average_precision']:.3f} | {100 * r['landmarks_24']:.1f} % / "
        f"{100 * r['landmarks_40']:.1f} % | {r['roll']:.1f}° | {r['ms']:.1f} |"
    )


def _short(spec: str) -> str:
    """``spec`` without folders."""
    return re.sub(r"[^,=:]*/", "", spec.rstrip("/"))


def _second_stage(options: argparse.Namespace, path: Path) -> str | None:
    """The ``refiner`` option of ``nano``; the network of a run is written to ``path``."""
    run: str | None = options.refiner
    if run is None or run == "none" or run.endswith(".onnx"):
        if (options.score_share, options.score_shift) != (1, 0):
            raise UsageError("--score-share and --score-shift need --refiner RUN")
        return run
    from training.refiner.export import weighted, write
    from training.refiner.network import load

    write(weighted(load(Path(run)), options.score_share, options.score_shift), path, {})
    return str(path)


def open_detector(
    spec: str, size: int | None = None, refiner: str | None = None, score: float | None = None
) -> Detector:
    """The detector on one thread, with its own threshold or ``score``."""
    options: dict[str, Any] = {} if size is None else {"detect_size": size}
    threshold: dict[str, Any] = {} if score is None else {"score": score}
    second: dict[str, Any] = {} if refiner is None else {"refiner": refiner}
    if Path(spec).is_dir() or spec.endswith(".keras"):
        from training.detector.export import write
        from training.detector.network import load

        with tempfile.TemporaryDirectory() as work:
            path = Path(work) / "network.onnx"
            write(load(Path(spec)), path, {})
            return create_detector(str(path), threads=1, **options, **threshold, **second)
    if spec.startswith("cv2:"):
        return OpenCVYuNet(spec[4:], size or 640, 0.7 if score is None else score)
    if spec.startswith("haar"):
        lowest: dict[str, Any] = {"minScore": -100.0} if threshold else {}
        return create_detector(spec, **options, **lowest)
    if not spec.startswith("nano"):
        if second and spec.startswith("auto"):
            raise UsageError("--refiner belongs to nano; name that instead of auto")
        second = {}
    return create_detector(spec, threads=1, **options, **threshold, **second)


if __name__ == "__main__":
    sys.exit(main())
