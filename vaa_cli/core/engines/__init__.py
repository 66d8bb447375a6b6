"""Engines that compute a trained model: PyTorch, OpenVINO, ONNX Runtime; and exports for them."""
