"""The video pipeline: detect or track, classify, smooth; streams, budget and audit on top of it."""
