"""Expression classifiers: models exported by fastfer's training, and ONNX files from elsewhere."""
