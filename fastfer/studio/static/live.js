// The tab Live: webcam frames over a WebSocket, results drawn over the picture.

import { attributesOf, query } from "./api.js";
import { boxes, cards, COLORS, hide, legend, messages } from "./draw.js";
import { EMOTIONS, onLanguage, reasonOf, text } from "./i18n.js";
import { closeWebcam, openWebcam } from "./webcam.js";

const get = (id) => document.getElementById(`live-${id}`);
const say = messages(get("message"));
const SECONDS = 30;
const IN_FLIGHT = 2;
const LIST_MS = 100; // The numbers beside the picture, which nobody reads faster, change ten times a second.
const video = get("video");
const canvas = get("canvas");
const context = canvas.getContext("2d");
const encoder = document.createElement("canvas");
let stream = null;
let socket = null;
let number = 0;
let sent = new Map();
let faces = [];
let history = [];
let times = [];
let waited = [];
let encoding = false;
let listed = 0; // When the list of faces was last written.
let answered = false; // Whether any result has come since the start.
let fresh = false; // Whether the webcam has a frame that was not sent.

// One button takes the place and the focus of the other.
function swap(running) {
  const focused = [get("start"), get("stop")].includes(document.activeElement);
  get("start").hidden = running;
  get("stop").hidden = !running;
  if (focused) get(running ? "stop" : "start").focus();
}

async function start() {
  try {
    stream = await openWebcam({ width: 640, height: 480, frameRate: 30 });
  } catch (error) {
    say(() => text("noCamera", { reason: reasonOf(error) }), true);
  }
  if (!stream) return;
  video.srcObject = stream;
  await video.play();
  swap(true);
  say(() => text("livePrivacy"));
  faces = history = [];
  answered = false;
  times = [];
  waited = [];
  canvas.width = encoder.width = video.videoWidth;
  canvas.height = encoder.height = video.videoHeight;
  connect();
  follow(stream);
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const options = query({ attributes: attributesOf(get("attributes")) });
  sent = new Map();
  socket = new WebSocket(`${scheme}://${location.host}/v1/stream${options}`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = receive;
  socket.onclose = (event) => {
    if (stream) {
      stop();
      say(() => text("noStream", { reason: event.reason || event.code }), true);
    }
  };
}

// The same frames with other options.
function reconnect() {
  if (!socket) return;
  socket.onclose = socket.onmessage = null;
  socket.close();
  connect();
}

function stop() {
  closeWebcam(stream);
  stream = null;
  socket?.close();
  socket = null;
  swap(false);
  get("rate").textContent = "";
}

// Show and send each frame of a webcam until it is stopped; of the screen, where a browser does not tell them apart.
function follow(webcam) {
  const next = () => {
    if (stream !== webcam) return;
    fresh = true;
    paint();
    send();
    follow(webcam);
  };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
  else requestAnimationFrame(next);
}

// Send the current frame unless it was sent, or enough are on their way.
async function send() {
  if (!fresh || encoding || sent.size >= IN_FLIGHT || socket?.readyState !== WebSocket.OPEN) return;
  encoding = true;
  fresh = false;
  encoder.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => encoder.toBlob(resolve, "image/jpeg", 0.8));
  const data = await blob.arrayBuffer();
  encoding = false;
  if (socket?.readyState !== WebSocket.OPEN) return;
  const message = new Uint8Array(4 + data.byteLength);
  new DataView(message.buffer).setUint32(0, ++number, true);
  message.set(new Uint8Array(data), 4);
  sent.set(number, performance.now());
  socket.send(message);
}

function receive(event) {
  const result = JSON.parse(event.data);
  const now = performance.now();
  for (const [id, at] of sent) {
    if (id === result.id) waited.push(now - at);
    if (id <= result.id) sent.delete(id);
  }
  if (result.error) return;
  answered = true;
  faces = result.faces;
  times = [...times.filter((t) => now - t < 2000), now];
  waited = waited.slice(-20);
  const largest = [...faces].sort((a, b) => b.box[2] - a.box[2])[0];
  history.push([now, largest ? largest.probabilities : null]);
  history = history.filter(([t]) => now - t < SECONDS * 1000);
  const seconds = Math.max(0.5, (now - times[0]) / 1000);
  get("rate").textContent = text("rate", { fps: ((times.length - 1) / seconds).toFixed(0),
    ms: (waited.reduce((a, b) => a + b, 0) / Math.max(1, waited.length)).toFixed(0) });
  get("rate").dataset.frames = String(Number(get("rate").dataset.frames ?? 0) + 1);
  if (now - listed >= LIST_MS) {
    listed = now;
    cards(get("faces"), faces);
    timeline(now);
  }
  send();
}

function paint() {
  const mirror = get("mirror").checked;
  const blocks = get("pixelate").checked;
  const part = get("blur").value || (blocks ? "faces" : "");
  if (part && !answered) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return; // Where the faces are is not known.
  }
  context.save();
  if (mirror) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
  context.drawImage(video, 0, 0);
  context.restore();
  const shown = mirror ? faces.map(flip) : faces;
  hide(context, shown, part, blocks);
  boxes(context, shown);
}

function flip(face) {
  const [x, y, w, h] = face.box;
  const landmarks = face.landmarks?.map(([px, py]) => [canvas.width - px, py]) ?? null;
  return { ...face, box: [canvas.width - x - w, y, w, h], landmarks };
}

// The probabilities of the largest face in the last half minute.
function timeline(now) {
  const plot = get("timeline");
  const area = plot.getContext("2d");
  area.clearRect(0, 0, plot.width, plot.height);
  for (let i = 0; i < history.length; i += 1) {
    const [t, probabilities] = history[i];
    if (!probabilities) continue;
    const x = plot.width * (1 - (now - t) / (SECONDS * 1000));
    const next = history[i + 1]?.[0] ?? now + 66;
    const wide = Math.max(1, (plot.width * Math.min(next - t, 500)) / (SECONDS * 1000) + 0.6);
    let y = plot.height;
    for (const emotion of EMOTIONS) {
      const high = probabilities[emotion] * plot.height;
      area.fillStyle = COLORS[emotion];
      area.fillRect(x, y - high, wide, high);
      y -= high;
    }
  }
}

export function setup() {
  say(() => text("livePrivacy"));
  get("start").addEventListener("click", start);
  get("stop").addEventListener("click", stop);
  get("attributes").addEventListener("change", reconnect);
  onLanguage(() => {
    legend(get("legend"));
    if (faces.length) cards(get("faces"), faces);
  });
}

export const leave = stop;
