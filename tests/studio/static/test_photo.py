"""The tab Photo: results, downloads, the gallery, and photos that come late."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from fastfer.labels import AGE_GROUPS
from tests.helpers.browser import WAIT, downloaded, hold, open_context, pixels, thrown_by, waiting
from tests.helpers.clips import portrait
from tests.helpers.servers import RunningServer, run_server
from tests.helpers.waiting import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

expect = pytest.importorskip("playwright.sync_api", reason="needs the extra test-studio").expect


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
