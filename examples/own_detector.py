"""Use another face detector: python own_detector.py photo.jpg

This one returns the skin-coloured regions of a photo, which is simple and not very good.
"""

import sys

import cv2
import numpy as np

import fastfer


class SkinDetector:
    """Regions of skin colour that are roughly as wide as high."""

    name = "skin"
    crop_calibration = fastfer.CropCalibration()

    def __init__(self, min_face: float = 40.0) -> None:
        self.min_face = min_face

    def detect(self, frame: np.ndarray) -> fastfer.Detections:
        """``frame``: uint8, (H, W, 3) BGR or (H, W) gray; gray has no skin colour."""
        if frame.ndim == 2:
            frame = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
        skin = cv2.inRange(cv2.cvtColor(frame, cv2.COLOR_BGR2YCrCb), (0, 135, 85), (255, 180, 135))
        skin = cv2.morphologyEx(skin, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
        regions = cv2.connectedComponentsWithStats(skin)[2][1:]
        boxes = [
            (x, y, width, height)
            for x, y, width, height, _ in regions
            if min(width, height) >= self.min_face and 0.5 < width / height < 1.5
        ]
        return fastfer.Detections(
            np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), np.float32)
        )


fastfer.register_detector("skin", SkinDetector, help="regions of skin colour")

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for face in fastfer.Engine("skin").analyze(sys.argv[1]):
        print(face.box, face.emotion)
