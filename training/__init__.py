"""Train, evaluate and export expression networks: Keras 3 in, a checked ONNX file out."""

import os

# TensorFlow speaks of its build and of absent GPUs; read when it is first imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
