"""ONNX Runtime sessions, and how many threads they may use."""
