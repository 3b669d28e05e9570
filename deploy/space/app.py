"""A Hugging Face Space: photos with their faces and expressions, and two heads side by side."""

from __future__ import annotations

from functools import cache
from typing import Any

import gradio as gr
import numpy as np

import fastfer
from fastfer.display.annotate import annotate_photo
from fastfer.display.anonymize import privacy_filter

NOTE = (
    "Names the expression that a face *shows*, as a stranger would. It does not know what a person "
    "feels or thinks; do not use it to decide about people. Photos are removed after minutes."
)
KEEP = 300
"""Seconds for which Gradio keeps its files of photos and results; without it, it keeps them."""
HEADS = {"FER+ votes (default)": "ferplus", "FER-2013 labels": "fer2013"}
COLUMNS = ["face", "emotion", "score", "quality"]


@cache
def engine(head: str) -> fastfer.Engine:
    """One engine for each head, loaded when it is first used."""
    return fastfer.Engine(head=head)  # type: ignore[arg-type]


def analyze(picture: np.ndarray | None, head: str, hide: str, language: str) -> tuple[Any, ...]:
    """The annotated picture, the table of faces, and the probabilities of the largest face."""
    if picture is None:
        return None, [], {}
    frame = np.ascontiguousarray(picture[:, :, ::-1])
    result = engine(HEADS[head]).analyze(frame)
    shown = privacy_filter(None if hide == "nothing" else hide).image(frame, result)
    drawn = annotate_photo(shown, result, lang="vi" if language == "Tiếng Việt" else "en")
    rows = [
        [number, face.emotion or "quality too low", face.score, face.quality]
        for number, face in enumerate(result, 1)
    ]
    largest = max(result, key=lambda face: face.box[2] * face.box[3], default=None)
    return drawn[:, :, ::-1], rows, largest.probabilities if largest else {}


def compare(picture: np.ndarray | None) -> tuple[Any, Any]:
    """The picture as each head sees it."""
    first, second = (analyze(picture, head, "nothing", "English")[0] for head in HEADS)
    return first, second


with gr.Blocks(title="fastfer", analytics_enabled=False, delete_cache=(60, KEEP)) as demo:
    gr.Markdown(f"# fastfer\n{NOTE}")
    with gr.Tab("Photo"), gr.Row():
        with gr.Column():
            photo = gr.Image(label="photo", sources=["upload", "webcam", "clipboard"], type="numpy")
            choices = [
                gr.Dropdown(list(HEADS), label="output head"),
                gr.Radio(["nothing", "faces", "eyes"], value="nothing", label="hide"),
                gr.Radio(["English", "Tiếng Việt"], value="English", label="language"),
            ]
        with gr.Column():
            drawn = gr.Image(label="faces", format="jpeg")
            table = gr.Dataframe(headers=COLUMNS, label="faces")
            bars = gr.Label(label="largest face", num_top_classes=7)
    with gr.Tab("Two heads"):
        pair = gr.Image(label="photo", sources=["upload", "clipboard"], type="numpy")
        with gr.Row():
            sides = [gr.Image(label=head, format="jpeg") for head in HEADS]
    for control in (photo, *choices):
        control.change(analyze, [photo, *choices], [drawn, table, bars], show_progress="hidden")
    pair.change(compare, pair, sides, show_progress="hidden")

if __name__ == "__main__":
    demo.launch(max_file_size="20mb", show_error=True)
