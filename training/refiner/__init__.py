"""The face detector's second look: its crops, its network, its training."""
