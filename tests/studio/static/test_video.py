"""The tab Video: clips, people over time, and downloads."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from fastfer.labels import AGE_GROUPS
from tests.helpers.browser import WAIT, downloaded, open_context, thrown_by
from tests.helpers.clips import moving_face, write_video
from tests.helpers.servers import RunningServer, run_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect


def test_attributes_of_a_clip_and_its_downloads(page: Page, clip: Path) -> None:
    page.click("#tab-video")
    page.check("#video-attributes")
    page.set_input_files(".clip-file", str(clip))
    page.wait_for_selector(".clip-remove")
    assert page.locator(".ff-look").all_inner_texts()[0] in ("female", "male")
    rows = downloaded(page, "button:has-text('rows.jsonl')").splitlines()
    assert all("age_group" in face["attributes"] for r in rows for face in json.loads(r)["faces"])
    table = io.StringIO(downloaded(page, "button:has-text('faces.csv')").decode("utf-8-sig"))
    assert {row["age_group"] for row in csv.DictReader(table)} <= set(AGE_GROUPS)
    if page.locator("button:has-text('faces.parquet')").count():
        pq = pytest.importorskip("pyarrow.parquet")
        data = downloaded(page, "button:has-text('faces.parquet')")
        assert {"perceived_gender", "age_group"} <= set(
            pq.read_table(io.BytesIO(data)).column_names
        )
    report = downloaded(page, "button:has-text('report.html')")
    assert b"<th>perceived age</th>" in report
    page.click(".clip-remove")
    page.wait_for_selector(".clip-remove", state="detached")


def test_clip_timeline_and_downloads(page: Page, clip: Path) -> None:
    page.click("#tab-video")
    page.set_input_files(".clip-file", str(clip))
    page.wait_for_selector(".clip-remove")
    lane = page.locator(".ff-track").first
    box = lane.bounding_box()
    assert box is not None
    lane.click(position={"x": box["width"] / 2, "y": 10})
    assert abs(float(lane.get_attribute("aria-valuenow") or 0) - 2.0) < 0.3
    lane.press("Home")
    lane.press("ArrowRight")
    assert lane.get_attribute("aria-valuenow") == "1.0"
    assert page.locator(".ff-moment").count() >= 1
    rows = downloaded(page, "button:has-text('rows.jsonl')").splitlines()
    assert len(rows) == 50
    table = io.StringIO(downloaded(page, "button:has-text('faces.csv')").decode("utf-8-sig"))
    assert {row["source"] for row in csv.DictReader(table)} == {"clip.mp4"}
    assert b"-->" in downloaded(page, "button:has-text('events.srt')")
    report = downloaded(page, "button:has-text('report.html')")
    assert b"<html" in report
    assert downloaded(page, "button:has-text('annotated.mp4')")[4:8] == b"ftyp"
    page.click("#clip-add")
    assert page.locator(".clip").count() == 2
    page.click(".clip-remove")
    page.wait_for_selector(".clip-remove", state="detached")


@pytest.mark.parametrize("hidden", ["pixelate", "blur", ""])
def test_the_original_is_not_played_if_people_are_hidden(
    page: Page, clip: Path, hidden: str
) -> None:
    """Where the annotated copy cannot be played, the page shows the user's own file."""
    page.route("**/annotated.mp4", lambda route: route.fulfill(body="no video"))
    page.click("#tab-video")
    if hidden == "pixelate":
        page.check("#video-pixelate")
    elif hidden == "blur":
        page.select_option("#video-blur", "eyes")
    page.set_input_files(".clip-file", str(clip))
    page.wait_for_selector(".clip-remove")
    page.uncheck("#video-pixelate")
    page.select_option("#video-blur", "")
    if not hidden:
        page.wait_for_selector(".clips video[src^='blob:']")
        return
    page.wait_for_function("() => document.querySelector('.clips video').error !== null")
    page.select_option("#language", "vi")  # Shows the clip again.
    page.wait_for_function("() => document.querySelector('.clips video').error !== null")
    assert page.locator(".clips video[src^='blob:']").count() == 0


def test_language_during_an_upload_and_focus(page: Page, clip: Path) -> None:
    held: list[Any] = []
    page.route("**/v1/video?*", lambda route: held.append(route))
    page.click("#tab-video")
    page.focus(".clip-file")
    page.set_input_files(".clip-file", str(clip))
    expect(page.locator(".clip-cancel")).to_be_focused(timeout=WAIT)
    page.select_option("#language", "vi")
    assert page.locator(".clip-cancel").count() == 1
    page.focus(".clip-cancel")
    held[0].continue_()
    page.wait_for_selector(".clip-remove")
    expect(page.locator(".clip video")).to_be_focused(timeout=WAIT)
    page.press(".clip-remove", "Enter")
    expect(page.locator(".clip-file")).to_be_focused(timeout=WAIT)


def test_refusal_that_is_not_of_the_server(page: Page, clip: Path) -> None:
    """A proxy answers with a page of its own."""
    page.route("**/v1/video?*", lambda route: route.fulfill(status=413, body="<html>"))
    page.click("#tab-video")
    page.set_input_files(".clip-file", str(clip))
    expect(page.locator(".clip .error")).to_contain_text("413", timeout=WAIT)


def test_two_people_and_two_clips(page: Page, clip: Path, tmp_path: Path) -> None:
    pair = [np.hstack([frame, frame[:, ::-1]]) for frame in moving_face(24)]
    both = write_video(tmp_path / "both.mp4", [np.ascontiguousarray(frame) for frame in pair])
    page.click("#tab-video")
    page.set_input_files(".clip-file", str(both))
    page.wait_for_selector(".clip-remove", timeout=WAIT)
    assert page.locator(".ff-track").count() == 2
    assert page.locator(".ff-who img").count() == 2
    page.click(".chips button >> nth=0")
    assert page.locator(".ff-who").all_inner_texts() == ["#2"]
    page.click(".chips button >> nth=0")
    assert page.locator(".ff-track").count() == 2
    assert page.locator(".ff-moment img").count() == page.locator(".ff-moment").count() > 0
    page.evaluate("document.querySelector('.clips video').currentTime = 0")
    page.locator(".ff-track").first.press("End")
    assert page.evaluate("document.querySelector('.clips video').currentTime") > 1
    plot = downloaded(page, "button:has-text('plot.png')")
    assert cv2.imdecode(np.frombuffer(plot, np.uint8), cv2.IMREAD_COLOR) is not None
    page.click("#clip-add")
    page.select_option("#video-blur", "faces")
    page.set_input_files(".clip-file", str(clip))
    expect(page.locator(".clip-remove")).to_have_count(2, timeout=WAIT)
    assert page.locator(".clip h2 >> nth=0").inner_text() == "both.mp4"
    tracks = page.locator(".clip").nth(1).locator(".ff-track")
    assert (page.locator(".ff-track").count(), tracks.count()) == (3, 1)


def test_an_expired_clip_says_so(page: Page, clip: Path) -> None:
    thrown = thrown_by(page)
    page.click("#tab-video")
    page.set_input_files(".clip-file", str(clip))
    page.wait_for_selector(".clip-remove")
    page.route(
        "**/faces.csv",
        lambda route: route.fulfill(
            status=404,
            json={"error": "no such job, or it has expired", "error_code": "unknown_job"},
        ),
    )
    page.click("button:has-text('faces.csv')")
    expect(page.locator(".clip .error")).to_contain_text("expired", timeout=WAIT)
    assert thrown == []


@pytest.mark.parametrize(("language", "reason"), [("en", "not a video"), ("vi", "định dạng này")])
def test_a_damaged_clip(page: Page, tmp_path: Path, language: str, reason: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video" * 100)
    page.select_option("#language", language)
    page.click("#tab-video")
    page.set_input_files(".clip-file", str(path))
    expect(page.locator(".clip .error")).to_contain_text(reason, timeout=WAIT)


def test_a_clip_that_is_too_large(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    path.write_bytes(bytes(30_000_000))
    with (
        run_server("--no-browser", "--max-video-mb", "1", command="studio") as server,
        open_context(browser, server.url, locale="en-US") as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/studio/")
        page.wait_for_selector("html[data-ready]")
        page.click("#tab-video")
        page.set_input_files(".clip-file", str(path))
        expect(page.locator(".clip .error")).to_contain_text("larger than", timeout=WAIT)


def test_results_stay_for_a_page_that_can_come_back(
    page: Page, studio: RunningServer, clip: Path
) -> None:
    """Browsers keep a page that a link has left, and show it again after "back"."""
    page.click("#tab-video")
    page.set_input_files(".clip-file", str(clip))
    page.wait_for_selector(".clip-remove")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    page.click("button:has-text('faces.csv')")
    with page.expect_download():
        page.click("button:has-text('faces.csv')")
    with page.expect_request(lambda request: request.method == "DELETE"):
        page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: false}))")
