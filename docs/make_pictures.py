"""Makes the pictures of README and docs/assets: python docs/make_pictures.py CLIP

CLIP is face-demographics-walking-and-pause of https://github.com/intel-iot-devkit/sample-videos
(CC BY 4.0). The portrait is in the public domain; it comes with scikit-image.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

import cv2
from skimage.data import astronaut

import fastfer
from fastfer.cli import video
from fastfer.display.annotate import FrameAnnotator, annotate_photo

ASSETS: Final = Path(__file__).resolve().parent / "assets"
FRAME: Final = 14
"""Number of the frame that is shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip", type=Path)
    clip = parser.parse_args().clip

    photo: Any = astronaut()[:, :, ::-1].copy()  # type: ignore[no-untyped-call]
    save("photo.jpg", annotate_photo(photo, fastfer.analyze(photo)))

    annotator = FrameAnnotator()
    with fastfer.stream(clip, frames=True) as pairs:
        for frame, result in pairs:
            picture = annotator.draw(frame.image, result)
            if result.frame_index == FRAME:
                save("video-frame.jpg", picture)
                break

    with tempfile.TemporaryDirectory() as folder:
        plot = Path(folder) / "plot.png"
        video.main([str(clip), "--plot", str(plot), "--no-display"])
        save("video-plot.png", cv2.imread(str(plot)))


def save(name: str, picture: Any) -> None:
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9] if name.endswith(".png") else [1, 80]
    cv2.imwrite(str(ASSETS / name), picture, options)


if __name__ == "__main__":
    main()
