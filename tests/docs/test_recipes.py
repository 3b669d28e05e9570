"""What the recipes for annotation tools write, where their input is not as usual."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.docs.samples import ROOT, samples

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")


def run_recipe(name: str, rows: list[dict[str, Any]], folder: Path) -> str:
    """Run the recipe that writes the file ``name`` on a table of ``rows``; returns the file."""
    pd.DataFrame(rows).to_parquet(folder / "faces.parquet")
    file = ROOT / "docs" / "how-to" / "query-tables.md"
    (recipe,) = [s for s in samples(file) if s.language == "python" and f'"{name}"' in s.code]
    exec(compile(recipe.code, str(recipe), "exec"), {})
    return (folder / name).read_text(encoding="utf-8")


def test_label_studio_finds_photos_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["a b#2.jpg", "50%25&d=x.jpg", "ảnh+?.jpg"]
    box = {f"box_{side}": 10.0 for side in ("x", "y", "width", "height")}
    face = {"frame_index": None, "error": None, "width": 100, "height": 50, "score": 0.9, **box}
    rows = [{"source": name, "emotion": "happy", **face} for name in names]
    tasks = json.loads(run_recipe("tasks.json", rows, tmp_path))
    found = [parse_qs(urlsplit(task["data"]["photo"]).query)["d"] for task in tasks]
    assert sorted(found) == sorted([name] for name in names)


def test_periods_for_elan_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of a GIF may be shown for any time, and a video may have one frame."""
    monkeypatch.chdir(tmp_path)
    times = [0, 0.5, 1.0, 1.5, 1.6, 1.7, 2.2]
    emotions = ["sad", "sad", "sad", "sad", "happy", "sad", "sad"]
    rows: list[dict[str, Any]] = [
        {"source": "a.gif", "track_id": 1, "pts": pts, "emotion": emotion}
        for pts, emotion in zip(times, emotions, strict=True)
    ]
    rows.append({"source": "one.gif", "track_id": 1, "pts": 0.0, "emotion": "sad"})
    lines = run_recipe("elan.txt", rows, tmp_path).splitlines()
    periods = [
        (float(line["begin"]), float(line["end"])) for line in csv.DictReader(lines, delimiter="\t")
    ]
    assert len(periods) == 4
    assert all(begin < end for begin, end in periods)
    assert periods[0][1] <= periods[1][0]
    assert periods[1][1] <= periods[2][0]
