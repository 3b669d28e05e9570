"""Input: photos, video files, cameras, network streams, arrays, archives and object stores."""
