"""The face detector's second stage: its crops, its network, its training."""
