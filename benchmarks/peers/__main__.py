"""Measure fastfer compared with other programs, on the same photos and clips in one run.

    python -m benchmarks.peers

Installs each program into a virtual environment of its own (about 3 GB, made once), measures
start-up, photos, video, memory, found faces and accuracy, and writes a page with charts. Inputs
that do not exist are left out, each with a line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastfer
from benchmarks.inputs import PHOTOS, SHARED, YUNET
from benchmarks.peers import environments
from benchmarks.peers.charts import draw
from benchmarks.peers.inputs import collect
from benchmarks.peers.limits import measure_limits
from benchmarks.peers.measure import Figures, measure
from benchmarks.peers.page import ratios, write_page
from benchmarks.peers.peers import PEERS
from fastfer.cli.arguments import CommandParser

LABELS_NOTE = "Most labels of the photos with faces are YuNet's own, which favours its loop."
DOCS = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"


def main() -> int:
    """Run the command; returns its exit code."""
    args = make_parser().parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    run = json.loads(args.figures.read_text(encoding="utf-8")) if args.figures else measured(args)
    run["notes"] = args.note
    stem = args.out / f"peers-{run['date']}"
    if not args.figures:
        stem.with_suffix(".json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    figures = {name: Figures(**values) for name, values in run["figures"].items()}
    if not args.no_charts:
        draw(figures, [peer for peer in PEERS if peer.name in figures], stem)
    page = args.out / f"{run['date']}.md"
    page.write_text(write_page(run, charts=not args.no_charts), encoding="utf-8")
    print(page)
    return 1 if any(figure.problem for figure in figures.values()) else 0


def _absolute(path: str) -> Path:
    """The programs run in folders of their own."""
    return Path(path).resolve()


def make_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    data = SHARED / "data"
    parser = CommandParser(
        prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--peers", default=",".join(p.name for p in PEERS), help="names, separated by commas")
    add("--environments", type=_absolute, default=environments.default_cache(), metavar="DIR")
    add("--wheel", type=_absolute, metavar="FILE", help="measure this wheel of fastfer")
    add("--photos", type=_absolute, default=PHOTOS, metavar="DIR", help="JPEG files, for times")
    add(
        "--labelled",
        type=_absolute,
        default=data / "facedet",
        metavar="DIR",
        help="labels.jsonl and images/, for found faces",
    )
    add("--fer2013", type=_absolute, default=data / "fer2013" / "fer2013.csv.xz", metavar="FILE")
    add(
        "--press",
        type=_absolute,
        default=data / "wild" / "lfw_expressions_dev.npz",
        metavar="FILE.npz",
    )
    add("--yunet", type=_absolute, default=YUNET, metavar="FILE.onnx")
    add("--seconds", type=int, default=12, help="length of the clip (default: 12)")
    add("--rounds", type=int, default=3, help="rounds of each time (default: 3)")
    add("--out", type=_absolute, default=DOCS, metavar="DIR", help="default: docs/benchmarks")
    add("--note", action="append", default=[], help="a sentence for the page")
    add("--no-charts", action="store_true")
    add("--figures", type=_absolute, metavar="FILE.json", help="write the page of an earlier run")
    return parser  # fmt: skip


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Install, measure, and return everything that the page shows."""
    chosen = args.peers.split(",")
    peers = [peer for peer in PEERS if peer.name in chosen]
    pythons, problems = {}, {}
    for name in dict.fromkeys(peer.environment for peer in peers):
        try:
            pythons[name] = environments.prepare(name, args.environments, args.wheel)
        except subprocess.CalledProcessError as error:
            problems[name] = f"pip ended with {error.returncode}"
    with tempfile.TemporaryDirectory() as folder:
        inputs = collect(
            Path(folder), args.photos, args.labelled, args.fer2013, args.press, args.yunet,
            args.seconds,
        )  # fmt: skip
        usable = [p for p in peers if p.environment in pythons and (inputs.yunet or not p.yunet)]
        figures = measure(usable, pythons, inputs, args.rounds)
        limits = measure_limits(inputs, args.rounds)
        described = inputs.described
    for peer in peers:
        if peer.environment in problems:
            figures[peer.name] = Figures(problem=problems[peer.environment])
    listed = {}
    for name, python in pythons.items():
        listed[name] = environments.versions(python)
        size = environments.installed_mb(python)
        for peer in usable:
            if peer.environment == name:
                figures[peer.name].install_mb = size
                figures[peer.name].packages = len(listed[name])
    yunet_labels = (args.labelled / "SOURCES.md").is_file()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "version": fastfer.__version__,
        "machine": machine(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "described": described,
        "labels_note": LABELS_NOTE if yunet_labels else "",
        "figures": {name: figure.to_dict() for name, figure in figures.items()},
        "ratios": ratios(figures),
        "limits": [asdict(limit) for limit in limits],
        "versions": listed,
    }


def machine() -> str:
    """Processor and memory, in words."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [
            line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        name = models[0].split(":", 1)[1].strip() if models else name
    memory = ""
    if hasattr(os, "sysconf"):
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        memory = f", {size:.0f} GiB"
    return f"{os.cpu_count()} processors ({name}){memory}"


if __name__ == "__main__":
    sys.exit(main())
