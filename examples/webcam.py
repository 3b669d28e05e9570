"""Show a live camera with labels; q quits: python webcam.py [CAMERA NUMBER, FILE OR URL]"""

import sys

import cv2

import fastfer

source = sys.argv[1] if len(sys.argv) > 1 else "0"
with fastfer.stream(int(source) if source.isdecimal() else source, frames=True) as pairs:
    for frame, result in pairs:
        cv2.imshow("fastfer", result.plot(frame.image))
        if cv2.waitKey(1) == ord("q"):
            break
cv2.destroyAllWindows()
