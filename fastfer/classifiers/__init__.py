"""Expression classifiers: networks exported by training, and ONNX files from elsewhere."""
