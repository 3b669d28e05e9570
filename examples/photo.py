"""Print the faces of a photo and save an annotated copy: python photo.py photo.jpg annotated.jpg"""

import sys

import cv2

import fastfer

if len(sys.argv) != 3:
    sys.exit(__doc__)
source, target = sys.argv[1:]
frame = fastfer.read_image(source)
result = fastfer.analyze(frame)
for face in result:
    x, y, width, height = face.box
    print(f"{face.emotion} {face.score:.0%} at ({x:.0f}, {y:.0f}), {width:.0f} x {height:.0f} px")
cv2.imwrite(target, result.plot(frame))
