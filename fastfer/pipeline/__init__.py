"""Videos: detect or track, classify what changed, smooth; one result per frame, in order."""
