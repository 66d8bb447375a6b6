"""Pictures: found, checked, decoded, augmented and put into batches."""
