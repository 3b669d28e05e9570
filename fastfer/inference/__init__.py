"""ONNX files, sessions of ONNX Runtime, and the processors that they may use."""
