"""What the workers of a job are made with: checked once, and sent to each."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch.setup import Setup, check_engine
from fastfer.classifiers.contract import ModelContract
from fastfer.errors import UsageError
from fastfer.io.isolated_video import AVAILABLE
from fastfer.io.limits import FileLimits
from fastfer.labels import ALL_EMOTIONS, ATTRIBUTES, CONTEMPT
from fastfer.pipeline.video_pipeline import VideoOptions
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model


def test_it_reaches_another_process(engine: dict[str, Any]) -> None:
    setup = Setup("t.csv", engine, FileLimits(bytes=5), VideoOptions(smooth=0), exact=True)
    assert pickle.loads(pickle.dumps(setup)) == setup


def test_limits_of_another_type_are_refused() -> None:
    with raises(UsageError, "out_of_range", "limits"):
        Setup("t.csv", limits=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "isolate", "expected"),
    [("a.mp4", True, AVAILABLE), ("s3://bucket/a.mp4", True, False), ("a.mp4", False, False)],
)
def test_videos_of_this_machine_are_isolated(path: str, isolate: bool, expected: bool) -> None:
    assert Setup("t.csv", isolate=isolate).isolates(path) == expected


PRIOR = [1 / 8] * 8


def test_attributes_and_contempt_add_columns(tmp_path: Path) -> None:
    seven = {"model": write_model(tmp_path / "7.onnx")}
    contract = ModelContract(
        name="eight", labels=ALL_EMOTIONS, priors={"probabilities": PRIOR}, level_prior=PRIOR
    )
    eight = {"model": write_model(tmp_path / "8.onnx", contract=contract, classes=8)}
    assert Setup("t.csv", seven).column_groups == ()
    assert Setup("t.csv", eight).column_groups == (CONTEMPT,)
    asking = Setup("t.csv", eight | {"attributes": ["age", "gender"]})
    assert asking.attributes == ATTRIBUTES
    assert asking.column_groups == (*ATTRIBUTES, CONTEMPT)
    with raises(UsageError, "unknown_option", "race"):
        Setup("t.csv", {"attributes": ["race"]}).attributes  # noqa: B018


def test_arguments_of_the_engine() -> None:
    check_engine({"detector": "nano", "min_quality": 0.5})
    for name in ("threads", "colour"):  # Workers choose their threads themselves.
        with raises(UsageError, "unknown_option", name):
            check_engine({name: 1})
