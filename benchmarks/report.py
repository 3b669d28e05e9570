"""Tables of packing speed and start-up time.

    python -m benchmarks.report [PHOTO]

Runs ``bench_pack.py`` and times the whole command on PHOTO (default: a portrait of scikit-image).
All ratios are taken within this run, from the fastest of many repetitions each, so that the load of
other programs counts little. Takes about two minutes.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2

from benchmarks.inputs import astronaut
from benchmarks.pytest_command import require_pytest_benchmark
from fastfer.cli.arguments import CommandParser

ROOT = Path(__file__).resolve().parents[1]
ALTERNATIVES = {
    "opencv": "OpenCV, one thread",
    "opencv-threads": "OpenCV, its threads",
    "tutorial": "tutorials",
    "pillow": "Pillow",
    "numpy": "NumPy",
    "python": "pure Python",
}
"""Methods of bench_pack.py and their headings."""
START = "import cv2, onnxruntime"


def main() -> None:
    parser = CommandParser(
        prog="python -m benchmarks.report",
        description=(__doc__ or "").splitlines()[0],
        epilog="Takes about two minutes.",
    )
    parser.add_argument(
        "photo",
        nargs="?",
        type=Path,
        metavar="PHOTO",
        help="file that the whole command analyses (default: a portrait of scikit-image)",
    )
    args = parser.parse_args()
    if args.photo is not None and not args.photo.is_file():
        parser.error(f"{args.photo}: no such file")
    require_pytest_benchmark()
    print("measuring packing and start-up, about two minutes ...", file=sys.stderr, flush=True)
    data = measure_packing()
    seconds: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for bench in data["benchmarks"]:
        params = bench["params"]
        seconds[params["count"], params["side"]][params["method"]] = bench["stats"]["min"]
    isas = [m.removeprefix("fastfer-") for m in next(iter(seconds.values())) if "fastfer-" in m]

    best = f"fastfer-{isas[0]}"
    cpu = data["machine_info"]["cpu"]
    print(
        f"Measured on {cpu['brand_raw']}, {cpu['count']} cores, {platform.system()}, "
        f"Python {platform.python_version()}, with `python -m benchmarks.report`.\n"
    )
    print(f"Packing faces of a 1920x1080 frame ({isas[0]}); time over fastfer's:\n")
    table(
        ["faces", "fastfer", *ALTERNATIVES.values()],
        [
            [cell(key), micro(t[best]), *(times(t[method] / t[best]) for method in ALTERNATIVES)]
            for key, t in seconds.items()
        ],
    )
    print("\nTime per instruction set, and that of OpenCV on one thread over it:\n")
    table(
        ["faces", *isas],
        [
            [cell(key), *(f"{micro(t[m])}, {times(t['opencv'] / t[m])}" for m in own)]
            for own in [[f"fastfer-{isa}" for isa in isas]]
            for key, t in seconds.items()
        ],
    )
    print("\nBytes of faces per second, and the same for only reading them (NumPy's `max`):\n")
    table(
        ["faces", "fastfer", "read only"],
        [[cell(key), rate(*key, t[best]), rate(*key, t["read"])] for key, t in seconds.items()],
    )
    print("\nStart-up, the best of many alternating runs:\n")
    command, imports = measure_start(args.photo)
    table(
        ["command", "time", "ratio"],
        [
            [f'`python -c "{START}"`', f"{imports * 1e3:.0f} ms", "1"],
            [
                "`python -m fastfer.image photo.jpg`",
                f"{command * 1e3:.0f} ms",
                f"{command / imports:.2f}",
            ],
        ],
    )


def measure_packing() -> dict[str, Any]:
    """Results of bench_pack.py as pytest-benchmark writes them; exits if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, "-m", "pytest", "benchmarks/bench_pack.py", "-q"]
        command += ["-o", "python_files=bench_*.py", f"--benchmark-json={file}"]
        command += ["--benchmark-min-rounds=30", "--benchmark-max-time=0.6"]
        command += ["--benchmark-warmup=on", "--benchmark-warmup-iterations=100"]
        # NumPy's matrix products are small: threads slow them down and spin while others run.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if result.returncode:
            sys.exit(result.stdout + result.stderr)
        data: dict[str, Any] = json.loads(file.read_text())
        return data


def measure_start(photo: Path | None, rounds: int = 12) -> tuple[float, float]:
    """Seconds of the command on ``photo``, and of importing OpenCV and ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        photo = photo or write_portrait(Path(folder))
        commands = (["-m", "fastfer.image", str(photo)], ["-c", START])
        best = [float("inf")] * 2
        for _ in range(rounds):
            for i, arguments in enumerate(commands):
                begin = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
                best[i] = min(best[i], time.perf_counter() - begin)
    return best[0], best[1]


def write_portrait(folder: Path) -> Path:
    file = folder / "portrait.jpg"
    cv2.imwrite(str(file), astronaut())
    return file


def table(heading: list[str], rows: list[list[Any]]) -> None:
    print("| " + " | ".join(heading) + " |")
    print("| " + " | ".join("---:" for _ in heading) + " |")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


def cell(key: tuple[int, int]) -> str:
    return f"{key[0]} of {key[1]} px"


def micro(seconds: float) -> str:
    return f"{seconds * 1e6:.3g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 100 else f"{ratio:,.0f}x"


def rate(count: int, side: int, seconds: float) -> str:
    return f"{count * side * side * 3 / seconds / 1e9:.1f} GB/s"


if __name__ == "__main__":
    main()
