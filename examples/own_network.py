"""Use your own expression network: python own_network.py model.onnx photo.jpg

These labels are those of a Keras network trained on FER-2013's image folders, which Keras sorts by
name. Change labels and scale to match your network.
"""

import sys

import fastfer

if len(sys.argv) != 3:
    sys.exit(__doc__)
model, photo = sys.argv[1:]
labels = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
spec = fastfer.ModelSpec(labels=labels, scale=(1 / 255,))
engine = fastfer.Engine(model=model, spec=spec)
for face in engine.analyze(photo):
    print(face.box, face.emotion, face.probabilities)
