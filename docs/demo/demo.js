// The page: photo and webcam. All computing is in fastfer.js.

import { EMOTIONS, Fastfer } from "./fastfer.js";

const COLORS = { angry: "#ce2015", disgust: "#52ab60", fear: "#c33abc", happy: "#f3c644", sad: "#2253ff",
  surprise: "#62edf2", neutral: "#828287" };
const MAX_SIDE = 1600;
const get = (id) => document.getElementById(id);
const canvas = get("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
const say = (text) => { get("status").textContent = text; };
let stream = null;

async function load() {
  const ort = await import("./ort/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1; // Threads need headers that static hosts do not send.
  return Fastfer.create(ort, async (name) => {
    const answer = await fetch(`./models/${name}`);
    if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  });
}

function draw(source, width, height) {
  const factor = Math.min(1, MAX_SIDE / Math.max(width, height));
  canvas.width = Math.round(width * factor);
  canvas.height = Math.round(height * factor);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
}

async function analyze(fastfer) {
  const start = performance.now();
  const faces = await fastfer.analyze(context.getImageData(0, 0, canvas.width, canvas.height));
  say(`${faces.length} ${faces.length === 1 ? "face" : "faces"} in ${Math.round(performance.now() - start)} ms`);
  context.lineWidth = Math.max(2, canvas.width / 300);
  const size = Math.max(14, canvas.width / 45);
  context.font = `600 ${size}px system-ui, sans-serif`;
  faces.forEach((face, n) => {
    const [x, y, w, h] = face.box;
    const label = `${n + 1}: ${face.emotion} ${Math.round(100 * face.confidence)} %`;
    context.strokeStyle = COLORS[face.emotion];
    context.strokeRect(x, y, w, h);
    context.fillStyle = "#16181a";
    const top = Math.max(0, y - size * 1.3);
    context.fillRect(x, top, context.measureText(label).width + size / 2, size * 1.3);
    context.fillStyle = "#fff";
    context.fillText(label, x + size / 4, top + size);
  });
  table(faces);
}

function table(faces) {
  const line = (cells, name) => {
    const row = document.createElement("tr");
    row.append(...cells.map((text) => Object.assign(document.createElement(name), { textContent: text })));
    return row;
  };
  const [head, body] = get("faces").children;
  head.replaceChildren(line(["face", ...EMOTIONS], "th"));
  body.replaceChildren(...faces.map((face, n) => line(
    [`${n + 1}: ${face.emotion}`, ...EMOTIONS.map((name) => `${(100 * face.probabilities[name]).toFixed(1)} %`)], "td")));
  get("faces").hidden = !faces.length;
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  get("webcam").setAttribute("aria-pressed", "false");
}

async function webcam(fastfer) {
  if (stream) return stop();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    return say(`The webcam cannot be used: ${error.message}`);
  }
  get("webcam").setAttribute("aria-pressed", "true");
  const video = get("video");
  video.srcObject = stream;
  await video.play();
  while (stream) {
    draw(video, video.videoWidth, video.videoHeight);
    await analyze(fastfer);
    await new Promise(requestAnimationFrame);
  }
  return undefined;
}

try {
  const fastfer = await load();
  get("file").addEventListener("change", async ({ target }) => {
    stop();
    get("faces").hidden = true;
    try {
      // Without the file's colour profile, as Python reads it.
      const picture = await createImageBitmap(target.files[0], { colorSpaceConversion: "none" });
      draw(picture, picture.width, picture.height);
      await analyze(fastfer);
    } catch (error) {
      say(`This picture cannot be read: ${error.message}`);
    }
  });
  get("webcam").addEventListener("click", () => webcam(fastfer));
  say("Ready");
  document.documentElement.dataset.ready = "true";
} catch (error) {
  say(`The networks cannot be loaded: ${error.message}`);
}
