"""Pictures to results: errors of one among many, options, drawing, and the example client."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.servers import RunningServer, faces_of

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


def test_each_picture_of_many_has_a_result_or_an_error(client: httpx.Client, photo: bytes) -> None:
    files = [("image", ("a.jpg", photo)), ("image", ("b.jpg", b"no")), ("x", ("c.jpg", photo))]
    results = client.post("/v1/analyze", files=files).json()["results"]
    assert [r["source"] for r in results] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [r["error_code"] for r in results] == [None, "unsupported_format", None]
    assert results[0]["faces"] == results[2]["faces"]
    assert results[1]["faces"] is None


def test_options(client: httpx.Client, photo: bytes) -> None:
    headers = {"content-type": "image/jpeg"}

    def ask(**params: object) -> dict[str, object]:
        (face,) = faces_of(
            client.post("/v1/analyze", content=photo, headers=headers, params=params)
        )
        return face

    plain = ask()
    assert plain["landmarks"]
    assert ask(landmarks=False)["landmarks"] is None
    small = cv2.resize(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), (128, 128))
    photo = cv2.imencode(".png", small)[1].tobytes()
    assert ask()["emotion"] is not None
    strict = ask(min_quality=1)
    assert (strict["emotion"], strict["low_quality"]) == (None, True)
    plain = ask()
    assert ask(head="fer2013")["probabilities"] != plain["probabilities"]
    assert ask(head="ferplus")["probabilities"] == plain["probabilities"]


def test_client_of_the_examples(server: RunningServer, photo: bytes) -> None:
    path = Path(__file__).resolve().parents[2] / "examples" / "client.py"
    spec = importlib.util.spec_from_file_location("fastfer_example_client", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Its dataclasses look there for their types.
    spec.loader.exec_module(module)
    client = module.Client(server.url)
    (plain,) = client.analyze(photo)
    assert plain.attributes is None
    (face,) = client.analyze(photo, attributes="gender,age")
    assert face.attributes["perceived_gender"] == "female"
    (face,) = client.analyze(photo, attributes="age")
    ages = face.attributes["age"]
    assert face.attributes["age_group"] == max(ages, key=ages.get)
    assert "gender" not in face.attributes
    with pytest.raises(module.ServerError) as caught:
        client.analyze(photo, attributes="race")
    assert (caught.value.status, caught.value.code) == (422, "unknown_option")


@pytest.mark.parametrize("part", ["faces", "eyes"])
def test_annotated_picture_hides_people(client: httpx.Client, photo: bytes, part: str) -> None:
    def draw(**params: object) -> np.ndarray:
        answer = client.post(
            "/v1/annotate", content=photo, headers={"content-type": "image/jpeg"},
            params={"format": "png", **params},
        )  # fmt: skip
        assert answer.headers["content-type"] == "image/png"
        return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)

    plain, hidden = draw(), draw(blur=part)
    assert plain.shape == hidden.shape
    assert (plain != hidden).any()
    assert (plain[:40] == hidden[:40]).all()
