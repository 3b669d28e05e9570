"""Every tab in the system's Chromium: photos, webcam, clips, downloads, languages, phone."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra studio")

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio")

from fastfer.labels import AGE_GROUPS  # noqa: E402
from tests.helpers.browser import open_browser, open_context, write_y4m  # noqa: E402
from tests.helpers.clips import moving_face, portrait, write_video  # noqa: E402
from tests.helpers.servers import RunningServer, run_server  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

expect = sync_api.expect
WAIT = 30_000
PHONE = {"width": 390, "height": 844}
TOKEN = "a-token-of-thirty-two-characters"


@pytest.fixture(scope="module")
def studio() -> Iterator[RunningServer]:
    with run_server("--no-browser", command="studio") as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    frames = [cv2.resize(frame, (640, 480)) for frame in moving_face(20)]
    webcam = write_y4m(tmp_path_factory.mktemp("webcam") / "face.y4m", frames)
    with open_browser(webcam) as chromium:
        yield chromium


@pytest.fixture
def page(studio: RunningServer, browser: Browser, request: Any) -> Iterator[Page]:
    options = getattr(request, "param", {})
    with open_context(browser, studio.url, locale="en-US", **options) as context:
        tab = context.new_page()
        tab.goto(f"{studio.url}/studio/")
        tab.wait_for_selector("html[data-ready]")
        yield tab


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # What a page must not run: the name of a file is shown in three places.
    path = tmp_path_factory.mktemp("photo") / "<img src=x onerror=alert(1)>.jpg"
    cv2.imwrite(str(path), portrait())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(50))


def pixels(page: Page, canvas: str) -> np.ndarray:
    """The picture on a canvas, (H, W, 4)."""
    width, height, data = page.evaluate(
        """(selector) => { const c = document.querySelector(selector);
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let s = ""; for (let i = 0; i < d.length; i += 65536)
          s += String.fromCharCode(...d.subarray(i, i + 65536));
        return [c.width, c.height, s]; }""",
        canvas,
    )
    return np.frombuffer(data.encode("latin-1"), np.uint8).reshape(height, width, 4)


def downloaded(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.click(button)
    return Path(waiting.value.path()).read_bytes()


def test_photo_and_its_downloads(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    assert page.inner_text("#photo-faces h3") == "Face 1: happy"
    assert page.inner_text("#photo-name") == photo.name
    expect(page.locator("#photo-message")).to_contain_text("1 face in", timeout=WAIT)
    assert page.locator("img[src='x']").count() == 0
    result = json.loads(downloaded(page, "#photo-json"))
    assert result["faces"][0]["emotion"] == "happy"
    assert result["source"] == photo.name
    picture = cv2.imdecode(np.frombuffer(downloaded(page, "#photo-save"), np.uint8), 1)
    assert picture.shape[1] >= 512
    # Hidden faces: the canvas changes around the face only.
    plain = pixels(page, "#photo-canvas")
    before = page.evaluate("document.querySelector('#photo-canvas').toDataURL()")
    page.select_option("#photo-blur", "faces")
    page.wait_for_function(
        "before => document.querySelector('#photo-canvas').toDataURL() !== before",
        arg=before, timeout=WAIT,
    )  # fmt: skip
    hidden = pixels(page, "#photo-canvas")
    assert 0.005 < (plain != hidden).any(axis=2).mean() < 0.2
    downloaded(page, "#photo-save")


def test_attributes_of_a_photo_only_if_ticked(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    assert not page.is_checked("#photo-attributes")
    assert page.locator(".looks").count() == 0
    assert "attributes" not in json.loads(downloaded(page, "#photo-json"))["faces"][0]
    plain = downloaded(page, "#photo-save")
    page.check("#photo-attributes")
    expect(page.locator("#photo-faces .looks")).to_contain_text("looks female", timeout=WAIT)
    found = json.loads(downloaded(page, "#photo-json"))["faces"][0]["attributes"]
    assert found["perceived_gender"] == "female"
    assert found["age_group"] in AGE_GROUPS
    assert downloaded(page, "#photo-save") != plain
    page.select_option("#language", "vi")
    expect(page.locator("#photo-faces .looks")).to_contain_text("trông như nữ", timeout=WAIT)
    assert page.inner_text("label.attributes") == "Giới tính và tuổi cảm nhận"
    page.uncheck("#photo-attributes")
    expect(page.locator(".looks")).to_have_count(0, timeout=WAIT)


def test_the_box_asks_for_what_the_server_estimates(browser: Browser, photo: Path) -> None:
    with (
        run_server("--no-browser", "--attributes", "gender", command="studio") as server,
        open_context(browser, server.url, locale="en-US") as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/studio/")
        page.wait_for_selector("html[data-ready]")
        assert page.is_checked("#photo-attributes")
        page.set_input_files("#photo-files", str(photo))
        expect(page.locator("#photo-faces .looks")).to_contain_text("looks female", timeout=WAIT)
        found = json.loads(downloaded(page, "#photo-json"))["faces"][0]["attributes"]
        assert set(found) == {"perceived_gender", "gender"}


def test_no_attributes_without_their_network(
    studio: RunningServer, browser: Browser, photo: Path
) -> None:
    with open_context(browser, studio.url, locale="en-US") as context:
        page = context.new_page()

        def without(route: Any) -> None:
            answer = route.fetch()
            info = answer.json() | {"attributes": [], "default_attributes": ["age"]}
            route.fulfill(response=answer, json=info)

        page.route("**/v1/info", without)
        page.goto(f"{studio.url}/studio/")
        page.wait_for_selector("html[data-ready]")
        assert page.is_hidden("label.attributes >> nth=0")
        assert not page.is_checked("#photo-attributes")
        page.set_input_files("#photo-files", str(photo))
        page.wait_for_selector("#photo-faces .face")
        assert "attributes" not in json.loads(downloaded(page, "#photo-json"))["faces"][0]


def test_attributes_live_while_it_runs(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    page.wait_for_selector("#live-faces .face")
    assert page.locator("#live-faces .looks").count() == 0
    page.check("#live-attributes")
    page.wait_for_selector("#live-faces .looks")
    page.uncheck("#live-attributes")
    expect(page.locator("#live-faces .looks")).to_have_count(0, timeout=WAIT)
    page.click("#live-stop")
    page.wait_for_selector("#live-start")


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


def test_gallery_with_filter(page: Page, photo: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#photo-files", [str(photo), str(empty)])
    page.wait_for_selector("#photo-filters button:has-text('happy (1)')")
    assert page.locator("#photo-gallery button").count() == 2
    page.click("#photo-filters button:has-text('happy (1)')")
    assert page.locator("#photo-gallery button").count() == 1


def test_damaged_photo_is_an_error(page: Page, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    page.set_input_files("#photo-files", str(bad))
    page.wait_for_selector("#photo-message.error")


def test_pasted_photo(page: Page, photo: Path) -> None:
    data = page.evaluate_handle(
        """(bytes) => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "pasted.jpg", {type: "image/jpeg"}));
        return data; }""",
        list(photo.read_bytes()),
    )
    page.evaluate(
        """(data) => document.dispatchEvent(
        new ClipboardEvent("paste", {clipboardData: data, bubbles: true}))""",
        data,
    )
    page.wait_for_selector("#photo-faces .face")
    assert page.inner_text("#photo-name") == "pasted.jpg"


CAPTIONS = """async (boxes) => {
  const draw = await import("/studio/draw.js");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [800, 600];
  const context = canvas.getContext("2d");
  const [areas, words] = [[], []];
  context.fillRect = (...area) => areas.push(area);
  context.fillText = (text) => words.push(text);
  draw.boxes(context, boxes.map((box) => ({ box, emotion: "surprise", score: 0.97,
    uncertain: false, attributes: { perceived_gender: "female", age_group: "20-29" } })));
  return [areas, words];
}"""


def test_captions_keep_off_other_faces(page: Page) -> None:
    grid = [[10 + 125 * i, 5 + 120 * j, 110, 115] for i in range(6) for j in range(5)]
    crowd = [*grid, [700, 540, 60, 58], [765, 300, 40, 50]]
    rects, words = page.evaluate(CAPTIONS, crowd)
    numbers = {word.split(":")[0] for word in words}
    assert numbers >= {str(number) for number in range(1, len(crowd) + 1)}
    for x, y, w, h in rects:
        assert 0 <= x <= x + w <= 800
        assert 0 <= y <= y + h <= 600
        own = 0
        for left, top, wide, high in crowd:
            # A caption may lie on its own face and on the forehead of another.
            across = min(x + w, left + wide) - max(x, left)
            down = min(y + h, top + high) - max(y, top + 0.22 * high)
            own += across > 0.5 and down > 0.5
        assert own <= 1
    for i, (x, y, w, h) in enumerate(rects):
        for a, b, c, d in rects[i + 1 :]:
            apart = min(x + w, a + c) - max(x, a) <= 0.5 or min(y + h, b + d) - max(y, b) <= 0.5
            assert apart, "two captions overlap"


def test_webcam_shot(page: Page) -> None:
    page.click("#photo-webcam")
    page.click("#photo-shoot")
    page.wait_for_selector("#photo-faces .face")


def test_live(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    expect(page.locator("#live-rate")).to_have_attribute(
        "data-frames", re.compile(r"[2-9]\d|\d{3,}"), timeout=WAIT
    )
    page.wait_for_selector("#live-faces .face")
    assert pixels(page, "#live-timeline")[..., 3].any()
    page.click("#live-stop")
    page.wait_for_selector("#live-start")


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


def test_two_models(page: Page, photo: Path) -> None:
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(photo))
    expect(page.locator("#compare-sides .face")).to_have_count(2, timeout=WAIT)
    expect(page.locator("#compare-agreement")).not_to_be_empty(timeout=WAIT)


def test_languages_theme_and_keyboard(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    page.select_option("#language", "vi")
    expect(page.locator("#tab-photo")).to_have_text("Ảnh", timeout=WAIT)
    expect(page.locator("#photo-faces h3")).to_have_text("Khuôn mặt 1: Vui vẻ", timeout=WAIT)
    assert page.evaluate("document.documentElement.lang") == "vi"
    page.focus("#tab-photo")
    for name in ("live", "video", "compare", "about"):
        page.keyboard.press("ArrowRight")
        assert page.is_visible(f"#{name}")
    assert "AI Act" in page.inner_text("#about")
    page.click("#theme")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


@pytest.mark.parametrize("page", [{"viewport": PHONE, "color_scheme": "dark"}], indirect=True)
def test_phone(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    for name in ("photo", "live", "video", "compare", "about"):
        page.click(f"#tab-{name}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], name


CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const c = parse(getComputedStyle(node).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !node.offsetParent) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${node.id} ${node.textContent.slice(0, 30)} ${ratio}`);
  }
  return bad;
}"""


@pytest.mark.parametrize(
    "page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True
)
def test_contrast_and_names_of_controls(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    for name in ("photo", "live", "video", "compare", "about"):
        page.click(f"#tab-{name}")
        assert page.evaluate(CONTRAST) == []
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, canvas[role]")]
            .filter((n) => n.offsetParent && !n.textContent.trim() && !n.ariaLabel
              && !(n.labels && n.labels.length)).map((n) => n.outerHTML)"""
        )
        assert unnamed == []


def test_token(browser: Browser) -> None:
    with (
        run_server("--no-browser", command="studio", FASTFER_TOKEN=TOKEN) as server,
        open_context(browser, server.url) as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/studio/")
        page.fill("#token", "wrong")
        page.click("#token-dialog button")
        expect(page.locator("#token-message")).not_to_be_empty(timeout=WAIT)
        page.fill("#token", TOKEN)
        page.click("#token-dialog button")
        page.wait_for_selector("html[data-ready]")
        page.click("#tab-live")
        page.click("#live-start")
        page.wait_for_selector("#live-faces .face")  # The WebSocket needs the cookie.
        with open_context(browser, server.url) as other:
            page = other.new_page()
            page.goto(f"{server.url}/studio/#token={TOKEN}")
            page.wait_for_selector("html[data-ready]")
            assert TOKEN not in page.url
