"""Pictures to results, in each way that a request may hold them."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

import fastfer
from fastfer.labels import ATTRIBUTES
from fastfer.server.face_options import with_options
from tests.helpers.results import attributes, photo_face
from tests.helpers.results import photo as photo_result
from tests.helpers.servers import RunningServer, run_server

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")

JPEG = {"content-type": "image/jpeg"}


def faces_of(answer: httpx.Response) -> list[dict[str, object]]:
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    faces: list[dict[str, object]] = result["faces"]
    return faces


def test_all_bodies_give_the_result_of_the_library(client: httpx.Client, photo: bytes) -> None:
    expected = fastfer.Engine().analyze(photo).to_dict()["faces"]
    encoded = base64.b64encode(photo).decode()
    for options in (
        {"content": photo, "headers": {"content-type": "image/jpeg"}},
        {"content": photo, "headers": {"content-type": "application/octet-stream"}},
        {"files": {"image": ("a.jpg", photo)}},
        {"json": {"images": [{"name": "a.jpg", "data": encoded}]}},
    ):
        assert faces_of(client.post("/v1/analyze", **options)) == expected


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


def test_attributes_only_if_asked_for(client: httpx.Client, photo: bytes) -> None:
    def ask(**params: object) -> dict[str, object]:
        (face,) = faces_of(client.post("/v1/analyze", content=photo, headers=JPEG, params=params))
        return face

    (expected,) = fastfer.Engine(attributes=ATTRIBUTES).analyze(photo).to_dict()["faces"]
    assert ask(attributes="gender,age") == expected
    assert "attributes" not in ask()
    assert "attributes" not in ask(attributes="")
    (age,) = (ask(attributes="age")["attributes"],)
    assert age == {k: v for k, v in expected["attributes"].items() if "gender" not in k}
    other = ask(attributes="age", head="fer2013", landmarks=False)
    assert other["attributes"] == age
    assert ask(attributes=" gender, age") == expected
    for wrong in ("race", "gender,race", "gender,", ",", "race" * 100):
        answer = client.post(
            "/v1/analyze", content=photo, headers=JPEG, params={"attributes": wrong}
        )
        assert (answer.status_code, answer.json()["error_code"]) == (422, "unknown_option")
        assert len(answer.json()["error"]) < 120
    assert client.get("/v1/info").json()["attributes"] == list(ATTRIBUTES)
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/v1/analyze", "/v1/annotate", "/v1/video"):
        names = {parameter["name"] for parameter in paths[path]["post"]["parameters"]}
        assert "attributes" in names
    drawn = [
        client.post("/v1/annotate", content=photo, headers=JPEG, params=params).content
        for params in ({}, {"attributes": "gender,age"})
    ]
    assert drawn[0] != drawn[1]


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


def test_server_that_always_estimates_attributes(photo: bytes) -> None:
    with run_server("--attributes", "age") as server:

        def ask(**params: object) -> object:
            answer = httpx.post(
                f"{server.url}/v1/analyze", content=photo, headers=JPEG, params=params, timeout=60
            )
            return set(faces_of(answer)[0].get("attributes") or {})

        assert ask() == {"age_group", "expected_age", "age"}
        assert ask(attributes="") == set()
        assert ask(attributes="gender") == {"perceived_gender", "gender"}


def test_clients_share_batches(server: RunningServer, photo: bytes) -> None:
    def ask(_: int) -> object:
        with httpx.Client(base_url=server.url, timeout=60) as own:
            return faces_of(
                own.post("/v1/analyze", content=photo, headers={"content-type": "image/jpeg"})
            )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))
    assert all(answer == answers[0] for answer in answers)
    text = httpx.get(f"{server.url}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["fastfer_batch_size_sum"]) > float(values["fastfer_batch_size_count"])


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


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", "image/jpeg", 422, "empty_file"),
        (b"not a picture", "image/png", 415, "unsupported_format"),
        (b"x", "text/html", 415, "unsupported_format"),
        (b"{", "application/json", 422, "damaged"),
        (b'{"images": [{"url": "http://127.0.0.1/a.jpg"}]}', "application/json", 422, "usage"),
        (b'{"images": [{"data": "*"}]}', "application/json", 422, "damaged"),
        (b"x", "multipart/form-data", 422, "damaged"),
    ],
)
def test_errors(client: httpx.Client, content: bytes, kind: str, status: int, code: str) -> None:
    answer = client.post("/v1/analyze", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_truncated_picture(client: httpx.Client, photo: bytes) -> None:
    answer = client.post(
        "/v1/analyze", content=photo[:2000], headers={"content-type": "image/jpeg"}
    )
    assert (answer.status_code, answer.json()["error_code"]) == (422, "truncated")


def test_misspelt_options_are_refused(client: httpx.Client, photo: bytes) -> None:
    for path in ("analyze?landmark=false", "annotate?blurr=faces", "annotate?" + "x" * 5000 + "=1"):
        answer = client.post(f"/v1/{path}", content=photo, headers=JPEG)
        assert (answer.status_code, answer.json()["error_code"]) == (422, "unknown_option")
        assert len(answer.text) < 400
    answer = client.get("/v1/video/none?blur=faces")
    assert (answer.status_code, answer.json()["error_code"]) == (422, "unknown_option")


def test_unknown_options_and_paths(client: httpx.Client, photo: bytes) -> None:
    headers = {"content-type": "image/jpeg"}
    for params, code in (
        ({"min_quality": 2}, "out_of_range"),
        ({"head": "x"}, "unknown_head"),
        ({"detector": "/etc/passwd"}, "unknown_detector"),
    ):
        answer = client.post("/v1/analyze", content=photo, headers=headers, params=params)
        assert (answer.status_code, answer.json()["error_code"]) == (422, code)
    assert client.get("/nothing").json()["error_code"] == "not_found"
    assert client.get("/v1/analyze").status_code == 405


def test_only_detectors_that_are_there_are_offered(client: httpx.Client, photo: bytes) -> None:
    offered = client.get("/v1/info").json()["detectors"]
    assert offered[:2] == ["default", "nano"]
    for name in ("default", "nano", "yunet", "haar"):
        answer = client.post("/v1/analyze", content=photo, headers=JPEG, params={"detector": name})
        assert (answer.status_code == 200) == (name in offered)
        if name not in offered:
            assert answer.status_code == 503
            assert "/" not in answer.json()["error"]  # No path of the server.


def test_openapi_describes_results(client: httpx.Client, photo: bytes) -> None:
    api = client.get("/openapi.json").json()
    assert {"/v1/analyze", "/v1/annotate", "/healthz", "/readyz", "/metrics"} <= set(api["paths"])
    described = api["components"]["schemas"]["FaceModel"]["properties"]
    (face,) = faces_of(client.post("/v1/analyze", files={"i": photo}))
    assert set(described) - {"attributes"} == set(face)
    assert json.dumps(api).count("x-curl") >= 2
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("fastfer HTTP", "").lower()


def test_faces_below_the_quality_asked_for_have_no_attributes() -> None:
    face = photo_face(quality=0.5, attributes=attributes())
    result = photo_result("a.jpg", face).result
    assert result is not None
    (low,) = with_options(result, min_quality=0.6, attributes=ATTRIBUTES).faces
    assert low.emotion is low.attributes is None
