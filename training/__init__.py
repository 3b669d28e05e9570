"""Train, evaluate and export expression networks: Keras 3 in, a checked ONNX file out."""
