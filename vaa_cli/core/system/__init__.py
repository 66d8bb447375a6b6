"""Files that appear whole, CSV text, processes and torch.distributed."""
