"""Pictures in, rows of probabilities out."""
