"""Writes PyTorch, Keras and TensorFlow Lite models as ONNX files that `tally convert` reads."""

__version__ = "0.1.0"
