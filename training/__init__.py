"""Train, evaluate and export networks: Keras 3 in, a checked ONNX file out."""

import os

from training.common import quiet_tensorflow

# Read when TensorFlow is first imported; its errors arrive as Python exceptions all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
quiet_tensorflow.install()
