"""What a page does when requests fail, overlap or come late."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra studio")

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio")

from tests.helpers.browser import open_context, pixels  # noqa: E402
from tests.helpers.clips import portrait  # noqa: E402
from tests.helpers.servers import RunningServer, run_server  # noqa: E402
from tests.helpers.waiting import wait_until  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

expect = sync_api.expect
WAIT = 10_000
TOKEN = "a-token-of-thirty-two-characters"
LOST = "the connection to the server was lost"


@pytest.fixture
def several(tmp_path: Path) -> list[str]:
    """Five photos with one face, and one without."""
    paths = [tmp_path / f"{n}.jpg" for n in range(6)]
    for path in paths:
        cv2.imwrite(str(path), portrait())
    cv2.imwrite(str(paths[5]), np.full((200, 200, 3), 128, np.uint8))
    return [str(path) for path in paths]


def thrown_by(page: Page) -> list[str]:
    """Collects what the page throws."""
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    return thrown


def waiting(page: Page) -> bool:
    """Lets Playwright call the handlers of routes."""
    return bool(page.evaluate("true"))


def hold(page: Page, count: int) -> list[Any]:
    """The first ``count`` photos that are sent wait until ``continue_()``."""
    held: list[Any] = []
    page.route(
        "**/v1/analyze*",
        lambda route: held.append(route) if len(held) < count else route.continue_(),
    )
    return held


def test_photos_added_during_a_run_leave_none_behind(page: Page, several: list[str]) -> None:
    held = hold(page, 4)
    page.set_input_files("#photo-files", several[:5])
    wait_until(lambda: bool(waiting(page) and len(held) == 4))
    page.set_input_files("#photo-files", several[5])
    for route in held:
        route.continue_()
    page.wait_for_selector("#photo-filters button:has-text('happy (5)')")
    expect(page.locator("#photo-gallery span:has-text('…')")).to_have_count(0, timeout=WAIT)
    expect(page.locator("#photo-message")).to_contain_text("0 faces in", timeout=WAIT)


def test_photos_for_which_there_is_no_room_are_counted(page: Page, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(502)]
    cv2.imwrite(str(files[0]), np.full((40, 40, 3), 128, np.uint8))
    for file in files[1:]:
        file.hardlink_to(files[0])
    page.set_input_files("#photo-files", [str(file) for file in files])
    message = page.locator("#photo-message")
    expect(message).to_contain_text("2 photos were left out", timeout=60_000)
    assert page.locator("#photo-gallery button").count() == 500
    page.set_input_files("#photo-files", [str(file) for file in files[:3]])
    expect(message).to_contain_text("3 photos were left out", timeout=WAIT)
    page.select_option("#language", "vi")
    expect(message).to_contain_text("Đã bỏ qua 3 ảnh", timeout=WAIT)


def test_a_late_result_does_not_replace_that_of_newer_options(page: Page, photo: Path) -> None:
    held = hold(page, 1)
    page.set_input_files("#photo-files", str(photo))
    wait_until(lambda: bool(waiting(page) and held))
    page.select_option("#photo-head", "fer2013")
    page.wait_for_selector("#photo-faces .face")
    shown = page.inner_text("#photo-faces")
    held[0].continue_()
    page.wait_for_load_state("networkidle")
    page.select_option("#language", "vi")
    page.select_option("#language", "en")  # Shows the photo again.
    expect(page.locator("#photo-faces h3")).to_have_text("Face 1: happy", timeout=WAIT)
    assert page.inner_text("#photo-faces") == shown


def test_the_chosen_photo_stays_if_all_are_analysed_again(page: Page, several: list[str]) -> None:
    page.set_input_files("#photo-files", several)
    page.wait_for_selector("#photo-filters button:has-text('happy (5)')")
    page.click("#photo-gallery button >> nth=2")
    expect(page.locator("#photo-name")).to_have_text("2.jpg", timeout=WAIT)
    with page.expect_response("**/v1/analyze*"):
        page.select_option("#photo-head", "fer2013")
    expect(page.locator("#photo-message")).to_contain_text("1 face in", timeout=WAIT)
    expect(page.locator("#photo-name")).to_have_text("2.jpg", timeout=WAIT)


def test_a_photo_that_is_chosen_before_its_result(page: Page, several: list[str]) -> None:
    thrown = thrown_by(page)
    held = hold(page, 2)
    page.set_input_files("#photo-files", several[:2])
    wait_until(lambda: bool(waiting(page) and len(held) == 2))
    held[0].continue_()
    page.wait_for_selector("#photo-faces .face")
    page.click("#photo-gallery button >> nth=1")
    chosen = page.locator("#photo-gallery button").nth(1)
    expect(chosen).to_have_attribute("aria-current", "true", timeout=WAIT)
    assert page.is_hidden("#photo-result")
    held[1].continue_()
    page.wait_for_selector("#photo-faces .face")
    assert thrown == []


def test_a_server_that_is_gone(browser: Browser, photo: Path, clip: Path) -> None:
    """Each tab says it, in the language of the page, and works again once the server is there."""
    with run_server("--no-browser", command="studio") as server:
        context = browser.new_context(permissions=["camera"], locale="en-US")
        page = context.new_page()
        thrown = thrown_by(page)
        page.goto(f"{server.url}/studio/")
        page.wait_for_selector("html[data-ready]")
        page.set_input_files("#photo-files", str(photo))
        page.wait_for_selector("#photo-faces .face")
        page.click("#tab-video")
        page.set_input_files(".clip-file", str(clip))
        page.wait_for_selector(".clip-remove", timeout=WAIT)
        server.stop()
        page.click("button:has-text('faces.csv')")
        expect(page.locator(".clip .error")).to_contain_text(LOST, timeout=WAIT)
        page.click("#tab-photo")
        page.click("#photo-save")
        expect(page.locator("#photo-message.error")).to_contain_text(LOST, timeout=WAIT)
        page.click("#tab-compare")
        page.set_input_files("#compare-file", str(photo))
        expect(page.locator("#compare-message.error")).to_contain_text(LOST, timeout=WAIT)
        page.select_option("#language", "vi")
        page.click("#tab-photo")
        page.set_input_files("#photo-files", str(photo))
        expect(page.locator("#photo-message.error")).to_contain_text("mất kết nối", timeout=WAIT)
        assert thrown == []
        context.close()


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


def test_errors_follow_the_language(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%PDF-1.4 " * 100)
    page.set_input_files("#photo-files", str(path))
    expect(page.locator("#photo-message.error")).to_contain_text("PDF", timeout=WAIT)
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(path))
    expect(page.locator("#compare-message.error")).to_contain_text("PDF", timeout=WAIT)
    page.select_option("#language", "vi")
    reason = "định dạng này không được hỗ trợ"
    expect(page.locator("#compare-message.error")).to_contain_text(reason, timeout=WAIT)
    expect(page.locator("#photo-message.error")).to_contain_text(reason, timeout=WAIT)


def test_compare_shows_no_earlier_photo_below_an_error(
    page: Page, photo: Path, tmp_path: Path
) -> None:
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(photo))
    expect(page.locator("#compare-sides .face")).to_have_count(2, timeout=WAIT)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"no picture")
    page.set_input_files("#compare-file", str(path))
    page.wait_for_selector("#compare-message.error")
    assert page.locator("#compare-sides .face").count() == 0
    assert page.locator("#compare-sides canvas:visible").count() == 0


def test_compare_draws_no_late_result(page: Page, photo: Path, tmp_path: Path) -> None:
    held = hold(page, 2)
    page.click("#tab-compare")
    page.set_input_files("#compare-file", str(photo))
    wait_until(lambda: bool(waiting(page) and len(held) == 2))
    expect(page.locator("#compare-message")).not_to_be_empty(timeout=WAIT)
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((200, 200, 3), 128, np.uint8))
    page.set_input_files("#compare-file", str(empty))
    expect(page.locator("#compare-sides canvas:visible")).to_have_count(2, timeout=WAIT)
    for route in held:
        route.continue_()
    page.wait_for_load_state("networkidle")
    page.select_option("#language", "vi")
    page.select_option("#language", "en")  # Shows the sides again.
    assert page.locator("#compare-sides .face").count() == 0
    assert len(np.unique(pixels(page, "#compare-sides canvas"))) < 4
    expect(page.locator("#compare-message")).to_be_empty(timeout=WAIT)


def test_the_token_is_asked_for_until_it_is_there(browser: Browser) -> None:
    with (
        run_server("--no-browser", command="studio", FASTFER_TOKEN=TOKEN) as server,
        open_context(browser, server.url) as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/studio/")
        for _ in range(3):
            page.wait_for_selector("#token-dialog[open]")
            page.keyboard.press("Escape")
        page.wait_for_selector("#token-dialog[open]")
        page.fill("#token", TOKEN)
        page.click("#token-dialog button")
        page.wait_for_selector("html[data-ready]")


CAMERAS = """() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  globalThis.opened = [];
  globalThis.pending = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    await new Promise((resolve) => pending.push(resolve));
    const stream = await ask(wanted);
    opened.push(...stream.getTracks());
    return stream;
  };
}"""
ON = "opened.filter((track) => track.readyState === 'live').length"


@pytest.mark.parametrize(("tab", "button"), [("live", "#live-start"), ("photo", "#photo-webcam")])
def test_no_webcam_is_left_on(page: Page, tab: str, button: str) -> None:
    """A permission that is given late, or to a second click."""
    page.evaluate(CAMERAS)
    page.click(f"#tab-{tab}")
    page.click(button)
    page.click("#tab-about")
    page.evaluate("pending.splice(0).forEach((go) => go())")
    wait_until(lambda: bool(page.evaluate("opened.length")))
    wait_until(lambda: page.evaluate(ON) == 0)
    page.click(f"#tab-{tab}")
    page.click(button)
    page.click(button)
    page.evaluate("pending.splice(0).forEach((go) => go())")
    wait_until(lambda: page.evaluate("opened.length") >= 2)
    page.wait_for_selector("#live-faces .face, #photo-camera:not([hidden])")
    page.click("#tab-about")
    wait_until(lambda: page.evaluate(ON) == 0)


@pytest.mark.parametrize(("language", "reason"), [("en", "HTTPS"), ("vi", "HTTPS")])
def test_a_page_that_may_not_use_the_webcam_says_why(
    page: Page, language: str, reason: str
) -> None:
    page.select_option("#language", language)
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    page.click("#photo-webcam")
    expect(page.locator("#photo-message.error")).to_contain_text(reason, timeout=WAIT)
    page.click("#tab-live")
    page.click("#live-start")
    expect(page.locator("#live-message.error")).to_contain_text(reason, timeout=WAIT)


def test_a_webcam_error_stays_in_another_language(page: Page) -> None:
    page.evaluate(
        """() => { navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("Permission denied", "NotAllowedError"); }; }"""
    )
    page.click("#tab-live")
    page.click("#live-start")
    expect(page.locator("#live-message.error")).to_contain_text("not allowed", timeout=WAIT)
    page.select_option("#language", "vi")
    expect(page.locator("#live-message.error")).to_contain_text("không cho phép", timeout=WAIT)


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


def test_a_file_dropped_beside_the_area_does_not_replace_the_page(page: Page) -> None:
    prevented = page.evaluate(
        """() => ["dragover", "drop"].map((name) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["x"], "a.jpg", {type: "image/jpeg"}));
        const event = new DragEvent(name, {dataTransfer, bubbles: true, cancelable: true});
        document.querySelector("header").dispatchEvent(event);
        return event.defaultPrevented; })"""
    )
    assert prevented == [True, True]
