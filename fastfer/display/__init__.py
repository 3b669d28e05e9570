"""Drawing results on frames, and windows to show them in."""
