"""Input: photos, video files, cameras, network streams and arrays."""
