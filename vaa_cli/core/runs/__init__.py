"""Run folders: the files in them, finding them, and the log."""
