"""The description of the answers."""

from __future__ import annotations

import json

import pytest

from tests.helpers.servers import faces_of

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


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
