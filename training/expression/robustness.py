"""Accuracy on altered faces: ``python -m training.expression.robustness MODEL --data PATH``.

The faces of FER-2013 are shifted, scaled, rotated, brightened, darkened, blurred, compressed and
reduced. ``--photos`` also measures on labelled photos.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.cli.arguments import CommandParser
from fastfer.errors import InputError, UsageError
from fastfer.kernels.pack import pack_faces
from fastfer.labels import EMOTIONS
from training.common.options import run_command, whole
from training.expression import evaluate, metrics
from training.expression.data import load_dataset
from training.expression.face_sources import SIDE, FaceSource, as_batch
from training.expression.heads import FER2013
from training.expression.predictors import (
    Floats,
    Predictor,
    add_tta_option,
    load_predictor,
    with_tta,
)

Face = NDArray[np.uint8]
KEPT = 0.90
"""Share of its clean accuracy that a network should keep under every change but the last."""

LABELS, MAJORITY = "FER-2013 labels", "FER+ majority"

PHOTO_CROPS = {
    "images": "YuNet's box, widened to 1.15",
    "images_full": "the whole tight portrait",
}


def _box_off(place: float, scale: float) -> Callable[[Face, np.random.Generator], Face]:
    def change(face: Face, rng: np.random.Generator) -> Face:
        side = SIDE * (1 + rng.uniform(-scale, scale))
        x, y = (SIDE - side) / 2 + SIDE * rng.uniform(-place, place, 2)
        return _pack(face, (x, y, side, side))

    return change


def _rotated(face: Face, rng: np.random.Generator) -> Face:
    centre = ((SIDE - 1) / 2, (SIDE - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, rng.uniform(-20, 20), 1.0)
    turned = cv2.warpAffine(
        face, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, np.uint8)


def _lit(gain: float) -> Callable[[Face, np.random.Generator], Face]:
    def change(face: Face, rng: np.random.Generator) -> Face:
        return np.asarray(np.clip(np.rint(face * gain), 0, 255), np.uint8)

    return change


def _blurred(face: Face, rng: np.random.Generator) -> Face:
    return np.asarray(cv2.GaussianBlur(face, (0, 0), 1.0), np.uint8)


def _compressed(face: Face, rng: np.random.Generator) -> Face:
    _, data = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def _from_24(face: Face, rng: np.random.Generator) -> Face:
    small = cv2.resize(face, (24, 24), interpolation=cv2.INTER_AREA)
    return _pack(np.asarray(small, np.uint8), (0, 0, 24, 24))


def _pack(frame: Face, box: tuple[float, float, float, float]) -> Face:
    """The box, cropped as in inference: the same resize filter and repeated edges."""
    packed = pack_faces(frame, [box], size=SIDE, scale=1.0)
    return np.asarray(np.rint(packed[0, :, :, 0]), np.uint8)


CHANGES: dict[str, Callable[[Face, np.random.Generator], Face]] = {
    "box shifted by 10 %": _box_off(0.10, 0),
    "box scaled by 10 %": _box_off(0, 0.10),
    "box shifted and scaled by 10 %": _box_off(0.10, 0.10),
    "rotated by up to 20 degrees": _rotated,
    "brightened by 1.5": _lit(1.5),
    "darkened to 0.5": _lit(0.5),
    "blurred, sigma 1 px": _blurred,
    "JPEG quality 30": _compressed,
    "upsampled from 24 px": _from_24,
}
"""Changes of a face (48, 48) uint8, by name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(prog="python -m training.expression.robustness", description=__doc__)
    p.add_argument("model", help="run folder, .keras or .onnx file of seven classes")
    p.add_argument("--data", required=True, help="CSV or folder, as for training")
    p.add_argument(
        "--votes", help="FER+ votes: measure every output except fer2013 against their majority"
    )
    p.add_argument("--split", default="PublicTest", help="usage or folder name (PublicTest)")
    p.add_argument(
        "--photos", type=Path, metavar="FILE.npz",
        help="also measure on photos: images and images_full, uint8 (N, 48, 48), and labels (N,)",
    )  # fmt: skip
    add_tta_option(p)
    p.add_argument("--skip-bad", action="store_true", help="skip bad rows and images")
    p.add_argument("--threads", type=whole(1), default=1, help="threads of ONNX Runtime (1)")
    p.add_argument("--seed", type=whole(0), default=0, help="random seed of the changes (0)")
    p.add_argument("--out", type=Path, default=Path("report"), help="folder of the report (report)")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from training.common.output_files import write_json
    from training.expression import plots

    dataset = load_dataset(options.data, votes=options.votes, skip_bad=options.skip_bad)
    source = dataset.split(options.split)
    predictor = with_tta(load_predictor(options.model, options.threads), options.tta)
    photos = None if options.photos is None else read_photos(options.photos)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        "model": Path(options.model).name,
        "split": options.split,
        "outputs": {},
    }
    for head in predictor.heads:
        suffix = "" if len(predictor.heads) == 1 else f"-{head}"
        found: dict[str, Any] = {
            "judged_by": judge(head, source),
            "changes": measure(predictor, head, source, options.seed),
        }
        plots.kept_shares(found["changes"], KEPT, out / f"robustness{suffix}.png")
        if photos is not None:
            found["photos"] = {}
            for crop in PHOTO_CROPS:
                probabilities = predictor.predict(photos[crop], head)
                found["photos"][crop] = metrics.summary(
                    probabilities, photos["labels"], EMOTIONS, predictor.prior(head)
                )
                table = found["photos"][crop]["confusion"]
                plots.confusion(table, EMOTIONS, out / f"photos-{crop}{suffix}.png")
            probabilities = predictor.predict(photos["images"], head)
            plots.mistakes(
                photos["images"],
                probabilities,
                photos["labels"],
                EMOTIONS,
                out / f"mistakes{suffix}.png",
            )
        report["outputs"][head] = found
    plots.changed_faces(_samples(source, options.seed), out / "changes.png")
    write_json(out / "robustness.json", report)
    text = markdown(report)
    (out / "robustness.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"wrote {out}/robustness.json, robustness.md and the plots next to them", file=sys.stderr)
    return 0


def changed(faces: Face, name: str, seed: int, start: int = 0) -> Floats:
    """Faces (n, 48, 48) under the change ``name``, as a batch (n, 48, 48, 1) in [0, 1].

    The random numbers of a face depend only on ``seed`` and its index (``start`` is that of the
    first), so that every network is measured on the same faces.
    """
    change = CHANGES[name]
    rngs = (np.random.default_rng([seed, start + i]) for i in range(len(faces)))
    done = [change(face, rng) for face, rng in zip(faces, rngs, strict=True)]
    return as_batch(np.stack(done))


def judge(head: str, source: FaceSource) -> str:
    """The reference of an output: the FER-2013 labels for ``fer2013`` and without votes, else the
    FER+ majority."""
    return LABELS if source.votes is None or head == FER2013 else MAJORITY


def measure(
    predictor: Predictor, head: str, source: FaceSource, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Accuracy on clean and changed faces against :func:`judge`, and its share of the clean one."""
    if source.votes is None or judge(head, source) == LABELS:
        judged, truth = np.arange(len(source)), source.labels
    else:
        judged = np.flatnonzero(source.votes.any(axis=1))
        truth = source.votes[judged].argmax(axis=1)
    hits: dict[str, int] = dict.fromkeys(("clean", *CHANGES), 0)
    for start in range(0, len(judged), evaluate.CHUNK):
        part = judged[start : start + evaluate.CHUNK]
        faces = source.load(part)
        for name in hits:
            batch = as_batch(faces) if name == "clean" else changed(faces, name, seed, start)
            probabilities = predictor.predict(batch, head)
            if probabilities.shape[1] != len(EMOTIONS):
                raise UsageError(
                    f"{predictor.path} has {probabilities.shape[1]} classes, expected seven"
                )
            hits[name] += int(
                (probabilities.argmax(axis=1) == truth[start : start + len(part)]).sum()
            )
    clean = max(hits["clean"], 1)
    return {
        name: {"accuracy": n / max(len(judged), 1), "kept": n / clean} for name, n in hits.items()
    }


def read_photos(path: Path) -> dict[str, Any]:
    """Labelled photos: both crops as batches (N, 48, 48, 1) in [0, 1], and ``labels`` (N,).

    Raises:
        InputError: the file is not such an archive.
    """
    try:
        with np.load(path) as file:
            labels = file["labels"].astype(np.int64)
            crops = {name: file[name] for name in PHOTO_CROPS}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as e:
        raise InputError(f"{path}: not an archive of labelled photos: {e}", code="damaged") from e
    for name, faces in crops.items():
        if faces.shape != (len(labels), SIDE, SIDE) or faces.dtype != np.uint8:
            raise InputError(
                f"{path}: {name} is {faces.dtype} {faces.shape}, expected uint8 ({len(labels)}, "
                "48, 48)",
                code="unsupported_format",
            )
    return {"labels": labels} | {name: as_batch(faces) for name, faces in crops.items()}


def markdown(report: dict[str, Any]) -> str:
    """A table of changes for every output, and one of the photos."""
    lines = [f"{report['model']} on {report['split']}, altered faces.", ""]
    heads = report["outputs"]
    lines.append(
        "| faces | " + " | ".join(f"{h}, {f['judged_by']} | kept" for h, f in heads.items()) + " |"
    )
    lines.append("| --- |" + " ---: | ---: |" * len(heads))
    for name in ("clean", *CHANGES):
        cells = (found["changes"][name] for found in heads.values())
        shown = " | ".join(f"{100 * c['accuracy']:.2f} % | {100 * c['kept']:.1f} %" for c in cells)
        lines.append(f"| {name} | {shown} |")
    low = [
        f"{name} ({head}, {100 * cell['kept']:.1f} %)"
        for head, found in heads.items()
        for name, cell in found["changes"].items()
        if cell["kept"] < KEPT
    ]
    lines += ["", f"Below {100 * KEPT:.0f} % of the clean accuracy: {', '.join(low) or 'none'}."]
    if any("photos" in found for found in heads.values()):
        lines += ["", "| photos | output | accuracy | mean recall | ECE |"]
        lines += ["| --- | --- | ---: | ---: | ---: |"]
        lines += [
            f"| {PHOTO_CROPS[crop]} | {head} | {100 * w['accuracy']:.2f} % | "
            f"{w['mean_recall']:.3f} | {w['ece']:.3f} |"
            for head, found in heads.items()
            for crop, w in found["photos"].items()
        ]
    return "\n".join(lines) + "\n"


def _samples(source: FaceSource, seed: int) -> dict[str, Floats]:
    """Ten faces, clean and under every change."""
    chosen = np.unique(np.linspace(0, len(source) - 1, 10).astype(np.int64))
    faces = source.load(chosen)
    rows = {"clean": as_batch(faces)[..., 0]}
    return rows | {name: changed(faces, name, seed)[..., 0] for name in CHANGES}


if __name__ == "__main__":
    sys.exit(main())
