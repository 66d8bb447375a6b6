"""Files that appear whole, locks, signals, CSV text, processes and torch.distributed."""
