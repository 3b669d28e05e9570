"""A network of eight classes, contempt among them, through every output."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fastfer
from fastfer.classifiers.contract import ModelContract
from fastfer.classifiers.custom import ModelSpec
from fastfer.classifiers.opening import has_contempt, open_classifier
from fastfer.cli import image, video
from fastfer.engine import Engine
from fastfer.labels import ALL_EMOTIONS, CONTEMPT, EMOTIONS
from fastfer.priors import prior_shares
from tests.helpers.clips import moving_face, write_video
from tests.helpers.onnx_models import write_model

PRIOR = [0.12] * 7 + [0.16]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network that sees contempt in everything."""
    contract = ModelContract(
        name="eight", labels=ALL_EMOTIONS, priors={"probabilities": PRIOR}, level_prior=PRIOR
    )
    path = tmp_path_factory.mktemp("model") / "eight.onnx"
    return write_model(path, contract=contract, classes=8, seed=13)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(20))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_photos(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), moving_face(1)[0])
    table, lines = tmp_path / "faces.csv", tmp_path / "faces.jsonl"
    words = ["--model", model, "--csv", table, "--jsonl", lines, "--save", tmp_path / "out", photo]
    assert image.main([str(word) for word in words]) == 0
    (row,) = rows(table)
    (face,) = json.loads(lines.read_text())["faces"]
    assert list(face["probabilities"]) == list(ALL_EMOTIONS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert float(row[CONTEMPT]) == face["probabilities"][CONTEMPT]
    seven = {e: face["probabilities"][e] for e in EMOTIONS}
    valence = fastfer.Engine("none", model).analyze(photo)[0].valence
    assert -1 <= valence <= 1
    assert sum(seven.values()) < 1


def test_videos(model: Path, clip: Path, tmp_path: Path) -> None:
    out = {name: tmp_path / f"out.{name}" for name in ("csv", "png", "html", "srt", "mp4")}
    words = ["--model", model, "--csv", out["csv"], "--plot", out["png"], "--events", out["srt"]]
    words += ["--report", out["html"], "--save", out["mp4"], "--legend", "--summary", clip]
    assert video.main([str(word) for word in words]) == 0
    found = rows(out["csv"])
    assert len(found) == 20
    assert all(float(row["raw_contempt"]) > 0 for row in found)
    assert '"contempt"' in out["html"].read_text(encoding="utf-8")
    assert all(path.stat().st_size for path in out.values())


def test_arrays_tables_and_the_audit(model: Path, clip: Path) -> None:
    engine = Engine("nano", model)
    results = list(fastfer.stream(clip, engine=engine))
    assert engine.emotions == ALL_EMOTIONS
    assert results[0].probabilities.shape == (1, 8)
    pandas = pytest.importorskip("pandas")
    assert isinstance(results[0].to_pandas(), pandas.DataFrame)
    assert results[0].to_pandas()[CONTEMPT].iloc[0] == results[0][0].probabilities[CONTEMPT]


def test_archives(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from fastfer.batch import Analyzer
    from fastfer.outputs import parquet_schema

    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), moving_face(1)[0])
    batch = Analyzer(model=model).table({"path": np.array([str(photo)])})
    assert batch.column(CONTEMPT)[0].as_py() > 0
    assert parquet_schema.attributes_in(batch.schema.names) == (CONTEMPT,)


def test_cameras(model: Path, clip: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    from fastfer.watch.config import parse_config
    from fastfer.watch.watcher import Watcher

    text = f"[engine]\nmodel = '{model}'\n[files]\nfolder = '{tmp_path}'\n"
    text += f"[[camera]]\nname = 'a'\nsource = '{clip}'\n"
    Watcher(parse_config(text), lambda _: None).run()
    (file,) = (tmp_path / "a").iterdir()
    table = pq.read_table(file)
    assert table.num_rows == 20
    assert all(value.as_py() > 0 for value in table.column(CONTEMPT))


@pytest.mark.parametrize("name", ["Contempt", "contemptuous", "other"])
def test_a_network_from_elsewhere(tmp_path: Path, name: str) -> None:
    path = write_model(tmp_path / "m.onnx", metadata={}, classes=8)
    spec = ModelSpec((*EMOTIONS, name), (1 / 255,))
    classifier = open_classifier(path, spec=spec)
    known = name != "other"
    assert (classifier.emotions == ALL_EMOTIONS) is known is has_contempt(path, spec)
    found = classifier.predict(np.zeros((2, 48, 48, 1), np.float32))
    assert found.shape == (2, 8 if known else 7)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_priors_without_contempt_leave_its_share() -> None:
    level: Any = tuple(PRIOR)
    shares = prior_shares("photos", ALL_EMOTIONS, level)
    assert shares[7] == pytest.approx(0.16)
    np.testing.assert_allclose(shares[:7] / shares[:7].sum(), prior_shares("photos"))
    np.testing.assert_allclose(prior_shares("uniform", ALL_EMOTIONS, level), 1 / 8)
    counts = dict.fromkeys(EMOTIONS, 1) | {CONTEMPT: 3}
    assert prior_shares(counts, ALL_EMOTIONS)[7] == pytest.approx(0.3)
