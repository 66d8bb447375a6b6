"""What computes a trained model: PyTorch, OpenVINO or ONNX Runtime; and exports for them."""
