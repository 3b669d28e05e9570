"""Sizes of text and lines."""

from __future__ import annotations

from fastfer.display.style import Style, face_font, line_width


def test_text_scales_with_the_box() -> None:
    fonts = [face_font(side, 1920, 1080) for side in (20, 80, 160, 250, 800)]
    assert fonts == sorted(fonts)
    assert fonts[0] >= 10
    assert fonts[-1] >= 2 * fonts[0]


def test_text_in_a_panorama_is_no_larger_than_its_faces() -> None:
    assert face_font(20, 4096, 384) <= 20
    assert face_font(20, 384, 4096) <= 20
    assert face_font(20, 1080, 2400) == face_font(20, 2400, 1080) > 20


def test_faces_of_about_the_same_size_have_the_same_font() -> None:
    assert len({face_font(side, 1920, 1080) for side in range(130, 154)}) == 1


def test_a_font_is_steady_while_a_face_moves() -> None:
    font = face_font(150, 1920, 1080)
    for side in (145, 165, 110, 150):
        assert face_font(side, 1920, 1080, font) == font
    assert face_font(250, 1920, 1080, font) > font


def test_lines_of_small_faces_are_thin() -> None:
    assert [line_width(side) for side in (18, 39, 40, 120, 400)] == [1, 1, 2, 2, 5]


def test_all_sizes_follow_the_font() -> None:
    small, large = Style.of(10), Style.of(30)
    assert all(b > 2 * a for a, b in zip(small, large, strict=True))
