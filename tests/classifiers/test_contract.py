"""The metadata of expression networks: round trip, violations, output heads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fastfer.classifiers.contract import PREFIX, Head, ModelContract
from fastfer.errors import ModelError, UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.errors import raises


def without(key: str) -> dict[str, str]:
    return {k: v for k, v in ModelContract(name="x").to_metadata().items() if k != PREFIX + key}


def having(**values: Any) -> dict[str, str]:
    changed = {PREFIX + key: json.dumps(value) for key, value in values.items()}
    return ModelContract(name="x").to_metadata() | changed


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({}, "fastfer.labels"),
        ({"labels": "happy"}, "fastfer.labels"),
        (without("labels"), "fastfer.labels"),
        (without("scale"), "fastfer.scale"),
        (having(labels=EMOTIONS[::-1]), "neutral, surprise"),
        (having(labels=["happy"]), "happy"),
        (having(labels=["sad", "happy", "neutral"]), "sad, happy, neutral"),
        (having(labels=["happy", "happy", "sad"]), "happy, happy, sad"),
        (having(labels=[*EMOTIONS, "bored"]), "bored"),
        (having(labels=7), "fastfer.labels"),
        (having(labels=[1, 2]), "[1, 2]"),
        (having(gray="mean"), "'mean'"),
        (having(resize="nearest"), "'nearest'"),
        (having(channels=3), "channels"),
        (having(input_size=15), "15"),
        (having(input_size=4096), "4096"),
        (having(input_size="48"), "fastfer.input_size"),
        (having(input_size=True), "fastfer.input_size"),
        (having(scale=float("nan")), "fastfer.scale"),
        (having(bias="none"), "fastfer.bias"),
        (having(scale=1e300), "fastfer.scale"),
        (having(schema=99), "99"),
        (having(schema="1"), "fastfer.schema"),
        (having(outputs={}), "fastfer.outputs"),
        (having(outputs=["probabilities"]), "fastfer.outputs"),
        (having() | {PREFIX + "scale": "1/255"}, "'1/255'"),
    ],
)
def test_metadata_that_violates_the_contract(metadata: dict[str, str], named: str) -> None:
    with raises(ModelError, "invalid_model", "odd.onnx", named):
        ModelContract.from_metadata(metadata, "odd.onnx")


def test_metadata_round_trip() -> None:
    contract = ModelContract(
        name="test",
        input_size=64,
        temperature=1.3,
        metrics={"accuracy/PublicTest": 0.66},
        quantisation="int8",
    )
    assert ModelContract.from_metadata(contract.to_metadata(), "memory") == contract


def test_other_keys_of_the_file_are_ignored() -> None:
    metadata = having() | {"author": "x", PREFIX + "later_addition": "{not JSON"}
    assert ModelContract.from_metadata(metadata, "memory") == ModelContract(name="x")


@pytest.mark.parametrize(
    ("priors", "named"),
    [
        ({"probabilities": [1 / 7] * 6}, "probabilities"),
        ({"probabilities": [0.5, 0.5, 0, 0, 0, 0, 0]}, "probabilities"),
        ({"probabilities": [0.2] * 7}, "probabilities"),
        ({"probabilities": ["a"] * 7}, "probabilities"),
        ({"probabilities": [True] * 7}, "probabilities"),
        ({"probabilities": 7}, "probabilities"),
    ],
)
def test_priors_are_distributions(priors: dict[str, Any], named: str) -> None:
    with raises(ModelError, "invalid_model", "odd.onnx", named):
        ModelContract.from_metadata(having(priors=priors), "odd.onnx")


TWO_HEADS = ModelContract(
    name="x",
    outputs={"probabilities": "0.9 FER+ votes, 0.1 FER-2013 labels", "fer2013": "FER-2013 labels"},
)


@pytest.mark.parametrize(
    ("head", "output"),
    [(None, "probabilities"), ("ferplus", "probabilities"), ("fer2013", "fer2013")],
)
def test_heads_are_found_by_their_targets(head: Head | None, output: str) -> None:
    assert TWO_HEADS.output_for(head, "memory") == output


@pytest.mark.parametrize(
    ("contract", "head"), [(TWO_HEADS, "other"), (ModelContract(name="x"), "fer2013")]
)
def test_absent_heads_are_refused(contract: ModelContract, head: Any) -> None:
    with raises(UsageError, "unknown_head", repr(head)):
        contract.output_for(head, "memory")
