// The webcam, which one tab at a time opens.

import { ApiError } from "./api.js";

const CODES = { NotAllowedError: "webcam_forbidden", NotFoundError: "no_webcam", NotReadableError: "webcam_busy" };
let asked = 0;

// A stream; null if it was closed or opened again before the user allowed it.
export async function openWebcam(video) {
  const mine = ++asked;
  if (!navigator.mediaDevices) throw new ApiError(0, "insecure_page", "the webcam needs localhost or HTTPS");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video });
  } catch (error) {
    throw new ApiError(0, CODES[error.name], error.message);
  }
  if (mine === asked) return stream;
  end(stream);
  return null;
}

export function closeWebcam(stream) {
  asked += 1;
  if (stream) end(stream);
}

function end(stream) {
  for (const track of stream.getTracks()) track.stop();
}
