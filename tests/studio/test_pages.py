"""Every tab in the system's Chromium: photos, webcam, clips, downloads, languages, phone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra studio")

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio")

from fastfer.labels import AGE_GROUPS  # noqa: E402
from tests.helpers.browser import downloaded, open_context, pixels  # noqa: E402
from tests.helpers.clips import portrait  # noqa: E402
from tests.helpers.servers import RunningServer, run_server  # noqa: E402
from tests.helpers.waiting import wait_until  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

expect = sync_api.expect
WAIT = 30_000
PHONE = {"width": 390, "height": 844}
TOKEN = "a-token-of-thirty-two-characters"


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
    assert page.inner_text("label.attributes") == "Giới tính và tuổi theo vẻ ngoài"
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


def test_no_landmarks_in_downloads(page: Page, photo: Path, clip: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    for hidden in (False, True):
        page.set_checked("#photo-landmarks", hidden)
        (face,) = json.loads(downloaded(page, "#photo-json"))["faces"]
        assert (face["landmarks"] is None) == hidden
    page.click("#tab-video")
    page.check("#video-landmarks")
    page.set_input_files(".clip-file", str(clip))
    page.wait_for_selector(".clip-remove")
    rows = downloaded(page, "button:has-text('rows.jsonl')").splitlines()
    faces = [face for row in rows for face in json.loads(row)["faces"]]
    assert faces
    assert all(face["landmarks"] is None for face in faces)


def flatness(page: Page) -> float:
    """Share of pixels that equal their neighbour."""
    picture = pixels(page, "#live-canvas")
    return float((picture[:, 1:] == picture[:, :-1]).all(axis=2).mean())


def test_live_hides_faces_by_blocks(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    page.wait_for_selector("#live-faces .face")
    plain = flatness(page)
    page.check("#live-pixelate")
    wait_until(lambda: flatness(page) > plain + 0.03)
    page.click("#live-stop")


def test_gallery_with_filter(page: Page, photo: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#photo-files", [str(photo), str(empty)])
    page.wait_for_selector("#photo-filters button:has-text('happy (1)')")
    assert page.locator("#photo-gallery button").count() == 2
    page.click("#photo-filters button:has-text('happy (1)')")
    assert page.locator("#photo-gallery button").count() == 1


def test_a_filter_that_has_no_photos_any_more_is_left(
    page: Page, photo: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#photo-files", [str(photo), str(empty)])
    page.click("#photo-filters button:has-text('happy (1)')")

    def sad(route: Any) -> None:
        answer = route.fetch()
        result = answer.json()
        for face in result["results"][0]["faces"]:
            face["emotion"] = "sad"
        route.fulfill(response=answer, json=result)

    page.route("**/v1/analyze*", sad)
    page.select_option("#photo-head", "fer2013")
    page.wait_for_selector("#photo-filters button:has-text('sad (1)')")
    expect(page.locator("#photo-gallery button")).to_have_count(2, timeout=WAIT)
    assert page.locator("#photo-filters button[aria-pressed=true]").count() == 1


def test_hidden_faces_are_hidden_in_the_gallery_too(
    page: Page, photo: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#photo-files", [str(photo), str(empty)])
    page.wait_for_selector("#photo-filters button:has-text('happy (1)')")
    assert page.locator("#photo-gallery img").count() == 2
    page.select_option("#photo-blur", "faces")
    expect(page.locator("#photo-gallery canvas")).to_have_count(2, timeout=WAIT)
    assert page.locator("#photo-gallery img").count() == 0
    first = "#photo-gallery canvas"
    wait_until(lambda: bool(pixels(page, first)[..., 3].all()), step=0.1)
    shown = pixels(page, first)[..., :3]
    whole = cv2.resize(portrait()[..., ::-1], shown.shape[1::-1], interpolation=cv2.INTER_AREA)
    changed = np.abs(shown.astype(int) - whole).max(axis=2) > 50
    assert 0.01 < changed.mean() < 0.2
    page.select_option("#photo-blur", "")
    expect(page.locator("#photo-gallery img")).to_have_count(2, timeout=WAIT)


def test_photo_that_only_the_server_can_decode(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    cv2.imwrite(str(path), portrait())
    page.set_input_files("#photo-files", str(path))
    page.wait_for_selector("#photo-faces .face")
    plain = pixels(page, "#photo-canvas")
    page.select_option("#photo-blur", "faces")
    wait_until(lambda: bool((pixels(page, "#photo-canvas") != plain).any()), step=0.1)
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(path))
    expect(page.locator("#compare-sides .face")).to_have_count(2, timeout=WAIT)
    plain = pixels(page, "#compare-sides canvas")
    assert plain[..., 3].all()
    page.select_option("#compare-blur", "faces")
    wait_until(lambda: bool((pixels(page, "#compare-sides canvas") != plain).any()), step=0.1)


def test_live_shows_no_frame_without_a_result_if_faces_are_hidden(page: Page) -> None:
    page.route_web_socket("**/v1/stream*", lambda _: None)  # Never answers.
    page.click("#tab-live")
    page.select_option("#live-blur", "eyes")
    page.click("#live-start")
    frames = "document.querySelector('#live-video').getVideoPlaybackQuality().totalVideoFrames"
    wait_until(lambda: bool(page.evaluate(frames) > 5), step=0.1)
    assert not pixels(page, "#live-canvas")[..., 3].any()
    page.select_option("#live-blur", "")
    wait_until(lambda: bool(pixels(page, "#live-canvas")[..., 3].any()), step=0.1)
    page.click("#live-stop")


def test_keyboard_focus_stays(page: Page, photo: Path, tmp_path: Path) -> None:
    """Controls that replace themselves do not send their user back to the top of the page."""
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#photo-files", [str(photo), str(empty)])
    page.wait_for_selector("#photo-filters button:has-text('happy (1)')")
    for button, after in (
        ("#photo-gallery button >> nth=1", "#photo-gallery button[aria-current=true]"),
        ("#photo-filters button >> nth=1", "#photo-filters button[aria-pressed=true]"),
    ):
        page.press(button, "Enter")
        expect(page.locator(after)).to_be_focused(timeout=WAIT)
    page.click("#tab-live")
    page.press("#live-start", "Enter")
    expect(page.locator("#live-stop")).to_be_focused(timeout=WAIT)
    page.press("#live-stop", "Enter")
    expect(page.locator("#live-start")).to_be_focused(timeout=WAIT)


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


def test_webcam_shot(page: Page) -> None:
    page.click("#photo-webcam")
    page.click("#photo-shoot")
    page.wait_for_selector("#photo-faces .face")


def test_live(page: Page) -> None:
    page.click("#tab-live")
    page.click("#live-start")
    expect(page.locator("#live-rate")).to_have_attribute(
        "data-frames", re.compile(r"[6-9]\d|\d{3,}"), timeout=WAIT
    )
    results, frames = page.evaluate(
        """() => [Number(document.querySelector("#live-rate").dataset.frames),
        document.querySelector("#live-video").getVideoPlaybackQuality().totalVideoFrames]"""
    )
    assert results <= frames  # No frame of the webcam is analysed twice.
    page.wait_for_selector("#live-faces .face")
    assert pixels(page, "#live-timeline")[..., 3].any()
    page.click("#live-stop")
    page.wait_for_selector("#live-start")


def test_two_models(page: Page, photo: Path) -> None:
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(photo))
    expect(page.locator("#compare-sides .face")).to_have_count(2, timeout=WAIT)
    expect(page.locator("#compare-agreement")).not_to_be_empty(timeout=WAIT)
    offered = page.evaluate("async () => (await (await fetch('/v1/info')).json()).detectors")
    choices = page.locator(".compare-detector").nth(1)
    assert choices.locator("option").evaluate_all("all => all.map((o) => o.value)") == offered
    canvases = [f"#compare-sides article:nth-child({n}) canvas" for n in (1, 2)]
    plain = [pixels(page, canvas) for canvas in canvases]
    page.select_option("#compare-blur", "eyes")
    for canvas, before in zip(canvases, plain, strict=True):
        assert 0.002 < (pixels(page, canvas) != before).any(axis=2).mean() < 0.1


def test_languages_theme_and_keyboard(page: Page, photo: Path) -> None:
    page.set_input_files("#photo-files", str(photo))
    page.wait_for_selector("#photo-faces .face")
    page.select_option("#language", "vi")
    expect(page.locator("#tab-photo")).to_have_text("Ảnh", timeout=WAIT)
    expect(page.locator("#photo-faces h3")).to_have_text("Khuôn mặt 1: Vui vẻ", timeout=WAIT)
    assert page.evaluate("document.documentElement.lang") == "vi"
    assert "default" not in (page.text_content("#photo-head") or "")
    page.focus("#tab-photo")
    for name in ("live", "video", "compare", "about"):
        page.keyboard.press("ArrowRight")
        assert page.is_visible(f"#{name}")
    assert "AI Act" in page.inner_text("#about")
    page.click("#theme")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


@pytest.mark.parametrize(("language", "reason"), [("en", "truncated JPEG"), ("vi", "tệp bị")])
def test_errors_are_in_the_language_of_the_page(
    page: Page, photo: Path, tmp_path: Path, language: str, reason: str
) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(photo.read_bytes()[:2000])
    page.select_option("#language", language)
    page.set_input_files("#photo-files", str(cut))
    expect(page.locator("#photo-message.error")).to_contain_text(reason, timeout=WAIT)


@pytest.mark.parametrize("page", [{"viewport": PHONE, "color_scheme": "dark"}], indirect=True)
@pytest.mark.parametrize("language", ["en", "vi"])
def test_phone(page: Page, photo: Path, language: str) -> None:
    page.select_option("#language", language)
    row, inside = page.evaluate(
        """() => { const row = document.querySelector("[role=tablist]");
        return [row.scrollWidth, row.clientWidth]; }"""
    )
    assert row <= inside, "a tab is cut off"
    narrow, natural = page.evaluate(
        """() => { const choice = document.querySelector("#language");
        const narrow = choice.offsetWidth;
        choice.style.maxWidth = "none";
        return [narrow, choice.offsetWidth]; }"""
    )
    assert narrow == natural, "the language is cut off"
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
