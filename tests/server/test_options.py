"""Options that several requests have."""

from __future__ import annotations

import pytest

import fastfer
from fastfer.errors import UsageError
from fastfer.labels import ATTRIBUTES
from tests.helpers.errors import raises
from tests.helpers.servers import JPEG, faces_of, run_server

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")
pytest.importorskip("fastapi", reason="needs the extra serve")


def test_misspelt_options_are_refused(client: httpx.Client, photo: bytes) -> None:
    for path in ("analyze?landmark=false", "annotate?blurr=faces", "annotate?" + "x" * 5000 + "=1"):
        answer = client.post(f"/v1/{path}", content=photo, headers=JPEG)
        assert (answer.status_code, answer.json()["error_code"]) == (422, "unknown_option")
        assert len(answer.text) < 400
    answer = client.get("/v1/video/none?blur=faces")
    assert (answer.status_code, answer.json()["error_code"]) == (422, "unknown_option")


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


def test_attributes_of_a_request_replace_those_of_the_server() -> None:
    from fastfer.server.options import asked_attributes

    assert asked_attributes(None, ["age"]) == ("age",)
    assert asked_attributes(" ", ["age"]) == ()
    assert asked_attributes("age,gender", []) == ATTRIBUTES
    with raises(UsageError, "unknown_option", "race"):
        asked_attributes("race", [])
