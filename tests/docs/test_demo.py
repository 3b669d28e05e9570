"""The demo page gives Python's answers, and asks no other host."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fastfer
from fastfer.kernels import reference
from tests.docs.samples import ROOT
from tests.helpers.browser import open_browser, open_context
from tests.helpers.clips import portrait

DEMO = ROOT / "docs" / "demo"
RUNTIME = DEMO / "node_modules" / "onnxruntime-web" / "dist"
MODELS = ROOT / "fastfer" / "models"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
needs_runtime = pytest.mark.skipif(not RUNTIME.is_dir(), reason="run npm ci in docs/demo")


def node(script: str, *arguments: str | Path, text: str = "") -> str:
    """What a program of Node.js prints."""
    result = subprocess.run(
        ["node", script, *map(str, arguments)],
        input=text, capture_output=True, text=True, cwd=DEMO, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def rgba(frame: np.ndarray, path: Path) -> str:
    """Write the pixels of ``frame``; the request that names them."""
    cv2.cvtColor(frame, cv2.COLOR_BGR2RGBA).tofile(path)
    height, width = frame.shape[:2]
    return json.dumps({"width": width, "height": height, "file": str(path)})


@needs_node
def test_pixels_are_those_of_the_engine_bit_for_bit(tmp_path: Path) -> None:
    frame = portrait()
    boxes = np.array(
        [[180.3, 60.2, 90.1, 116.7], [-20, -30, 100, 90], [400, 400, 300, 300], [100, 100, 30, 20]],
        np.float32,
    )
    angles = np.array([0.0, 0.3, 0.0, -1.2])
    script = tmp_path / "pack.mjs"
    script.write_text(
        f"""import {{ pack }} from {json.dumps((DEMO / "pixels.js").as_uri())};
        import {{ readFileSync, writeFileSync }} from "node:fs";
        const {{ width, height, file }} = {rgba(frame, tmp_path / "picture")};
        const picture = {{ width, height, data: readFileSync(file) }};
        const tiles = pack(picture, {json.dumps(boxes.tolist())}, {json.dumps(angles.tolist())});
        writeFileSync({json.dumps(str(tmp_path / "tiles"))}, tiles);"""
    )
    node(str(script))
    got = np.fromfile(tmp_path / "tiles", np.float32).reshape(4, 48, 48, 1)
    turns = np.empty((4, 2), np.int32)
    reference.rotations(angles, turns)
    for i in range(4):
        turned = None if angles[i] == 0 else turns[i : i + 1]
        expected = reference.pack_faces(frame, boxes[i : i + 1], rotations=turned)
        assert np.array_equal(got[i], expected[0]), i


@needs_node
@needs_runtime
def test_answers_are_those_of_python(shared: Path, tmp_path: Path) -> None:
    frames = []
    for path in sorted((shared / "media" / "faces").glob("*.jpg"))[:10]:
        frame = cv2.imread(str(path))
        scale = min(1.0, 640 / max(frame.shape[:2]))
        frames.append(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    requests = [rgba(frame, tmp_path / str(n)) for n, frame in enumerate(frames)]
    lines = node("analyze.mjs", MODELS, text="\n".join(requests) + "\n").splitlines()
    differences = []
    for frame, line in zip(frames, lines, strict=True):
        expected = fastfer.analyze(frame)
        found: list[dict[str, Any]] = json.loads(line)
        assert len(found) == len(expected)
        for face in expected:
            same = min(
                found,
                key=lambda f: sum(abs(a - b) for a, b in zip(f["box"], face.box, strict=True)),
            )
            assert np.allclose(same["box"], face.box, atol=2)
            assert same["emotion"] == face.emotion
            differences.append(
                max(abs(same["probabilities"][e] - p) for e, p in face.probabilities.items())
            )
    assert len(differences) >= 40
    assert max(differences) <= 0.02


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo as a static site."""
    folder = tmp_path_factory.mktemp("site")
    for file in DEMO.glob("*.*"):
        shutil.copy(file, folder)
    (folder / "ort").symlink_to(RUNTIME)
    (folder / "models").symlink_to(MODELS)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
            ".mjs": "text/javascript", ".wasm": "application/wasm",
        }  # fmt: skip

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@needs_runtime
def test_page_in_chromium(site: str, shared: Path) -> None:
    """Files that the browser itself decodes give Python's answers."""
    paths = sorted((shared / "media" / "faces").glob("*.jpg"))[:10]
    with open_browser() as browser, open_context(browser, site) as context:
        page = context.new_page()
        page.goto(f"{site}/index.html")
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        for path in paths:
            page.set_input_files("#file", str(path))
            page.wait_for_selector("#faces:not([hidden])", timeout=60_000)
            rows = [line.split("\t") for line in page.inner_text("#faces tbody").splitlines()]
            expected = fastfer.analyze(path)
            assert len(rows) == len(expected), path.name
            for (label, *percent), face in zip(rows, expected, strict=True):
                assert label.split(": ")[1] == face.emotion
                found = [float(value.removesuffix(" %")) / 100 for value in percent]
                assert np.allclose(found, list(face.probabilities.values()), atol=0.05), path.name
