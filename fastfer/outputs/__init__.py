"""Output files, one format per module."""
