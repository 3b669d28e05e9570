"""One measurement of one peer, inside its environment.

    python worker.py ADAPTER TASK OPTIONS.json

Prints a line ``ready`` when the peer is loaded, then the result as one line of JSON. The parent
process takes the times of both lines for start-up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import adapters  # next to this file: the environment knows nothing of benchmarks

RESULT = "result "


def main() -> None:
    name, task, file = sys.argv[1:]
    options: dict[str, Any] = json.loads(Path(file).read_text(encoding="utf-8"))
    adapter = getattr(adapters, name)(options)
    print("ready", flush=True)
    result = globals()[f"run_{task}"](adapter, options)
    print(RESULT + json.dumps(result | {"peak_mb": peak_mb()}), flush=True)
    os._exit(0)  # Threads of some peers keep the process alive.


def run_first(adapter: adapters.Adapter, options: dict[str, Any]) -> dict[str, Any]:
    """The first photo."""
    return {"faces": len(adapter.photo(options["photos"][0]))}


def run_photos(adapter: adapters.Adapter, options: dict[str, Any]) -> dict[str, Any]:
    """The fastest of several rounds for each photo, in ms."""
    adapter.photo(options["photos"][0])
    best = [float("inf")] * len(options["photos"])
    for _ in range(options["rounds"]):
        for i, path in enumerate(options["photos"]):
            begin = time.perf_counter()
            adapter.photo(path)
            best[i] = min(best[i], (time.perf_counter() - begin) * 1e3)
    return {"ms": best}


def run_video(adapter: adapters.Adapter, options: dict[str, Any]) -> dict[str, Any]:
    """Time and processor time of a clip; the first run, on a short clip, is not counted."""
    adapter.video(options["warm_up"])
    begin, begin_cpu = time.perf_counter(), time.process_time()
    frames, faces = adapter.video(options["clip"])
    return {
        "frames": frames,
        "faces": faces,
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - begin_cpu,
    }


def run_boxes(adapter: adapters.Adapter, options: dict[str, Any]) -> dict[str, Any]:
    """The boxes of labelled photos."""
    return {"boxes": [[box for box, _ in adapter.photo(path)] for path in options["labelled"]]}


def run_faces(adapter: adapters.Adapter, options: dict[str, Any]) -> dict[str, Any]:
    """The emotions of gray faces, by the name of their set."""
    import numpy as np

    with np.load(options["faces"]) as file:
        return {
            "emotions": {
                name: adapter.classify(file[name], options["heads"][name]) for name in file.files
            }
        }


def peak_mb() -> float | None:
    """Peak memory of this process; ``None`` where the system does not say."""
    status = Path("/proc/self/status")
    if status.is_file():  # The maximum of getrusage includes the parent before exec.
        line = next(v for v in status.read_text().splitlines() if v.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    main()
