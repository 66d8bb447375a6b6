"""Readers of dataset formats: one file a format, each `read(source) -> LabelTable`."""
