"""Compare face detectors on labelled photos."""
