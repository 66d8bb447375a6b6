"""The method: the network, its losses, its prediction history, and model files."""
