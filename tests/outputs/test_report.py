"""The report is one page without references, whatever its video is called."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import fastfer
from fastfer.errors import UsageError
from fastfer.outputs.report import ReportWriter, render
from tests.helpers.browser import open_browser
from tests.helpers.clips import moving_face
from tests.helpers.errors import raises

EVIL = "</script><script>alert(1)</script><img src=https://evil.example/a.png>.mp4"


def write_report(path: Path, lang: Any = "en") -> str:
    writer = ReportWriter(path, 1 / 12.5, lang=lang)
    results = fastfer.stream(moving_face(30), fps=12.5, frames=True)
    for frame, result in results:
        writer.write(result, frame.image)
    writer.close()
    return path.read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert match is not None
    values: dict[str, Any] = json.loads(match[1])
    return values


def test_page_is_self_contained(tmp_path: Path) -> None:
    page = write_report(tmp_path / "a.html")
    assert not re.search(r"(src|href)\s*=\s*[\"']?(?!data:)\w+:", page)
    assert "{{" not in page.replace("{{ }}", "")
    data = data_of(page)
    assert [person["id"] for person in data["people"]] == [1]
    assert data["moments"][0]["emotion"] == "happy"
    assert "<td>100 %</td>" in page


def test_names_cannot_break_out() -> None:
    data = {
        "source": EVIL, "duration": 1.0, "frames": 1, "width": 1, "height": 1, "step": 0.1,
        "emotions": list(fastfer.EMOTIONS), "hidden": 0, "people": [], "moments": [],
    }  # fmt: skip
    page = render(data, "en")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert data_of(page)["source"] == EVIL


def test_other_suffix() -> None:
    with raises(UsageError, "unsupported_format"):
        ReportWriter(Path("a.pdf"), 0.1)


@pytest.mark.parametrize(("lang", "word"), [("en", "Best moments"), ("vi", "Khoảnh khắc rõ nhất")])
def test_opens_offline(tmp_path: Path, lang: str, word: str) -> None:
    path = tmp_path / "a.html"
    write_report(path, lang)
    with open_browser() as browser:
        page = browser.new_context(offline=True).new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        assert word in page.inner_text("#moments h2")
        lane = page.locator(".ff-track")
        lane.press("End")
        assert float(lane.get_attribute("aria-valuenow") or 0) > 2
        page.click(".ff-moment")
        assert not errors
        assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]


@pytest.mark.parametrize(
    ("lang", "title", "look"),
    [("en", "perceived gender", "male"), ("vi", "giới tính theo vẻ ngoài", "nam")],
)
def test_attributes_only_if_asked_for(lang: str, title: str, look: str) -> None:
    person = {
        "id": 1, "start": 0.0, "end": 1.0, "seconds": 1.0, "picture": None, "bins": [],
        "shares": dict.fromkeys(fastfer.EMOTIONS, 0.0),
    }  # fmt: skip
    data = {
        "source": "a", "duration": 1.0, "frames": 1, "width": 1, "height": 1, "step": 0.1,
        "emotions": list(fastfer.EMOTIONS), "hidden": 0, "people": [person], "moments": [],
    }  # fmt: skip
    plain = render(data, lang)  # type: ignore[arg-type]
    assert f"<th>{title}</th>" not in plain
    known = person | {"attributes": {"perceived_gender": "male", "age_group": "40-49"}}
    page = render(data | {"people": [known]}, lang)  # type: ignore[arg-type]
    assert f"<th>{title}</th>" in page
    assert f"<td>{look}</td><td>40-49</td>" in page
