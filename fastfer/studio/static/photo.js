// The tab Photo: one photo, or a gallery of many.

import { analyze, annotate, attributesOf, save } from "./api.js";
import { boxes, cards, element, enlarged, hide, messages } from "./draw.js";
import { EMOTIONS, language, nameOf, onLanguage, reasonOf, text } from "./i18n.js";
import { closeWebcam, openWebcam } from "./webcam.js";

const get = (id) => document.getElementById(`photo-${id}`);
const say = messages(get("message"));
const MAX = 500;
const THUMBNAIL = 192; // Height in pixels, twice that on the page.
const SHOWN = 1000; // Small pictures are enlarged to about this width, so that labels are legible.
const photos = [];
let current = null;
let bitmap = null; // Of the current photo.
let drawnWidth = 0;
let filter = null;
let stream = null;
let run = 0;
let leftOut = 0; // Photos of the last choice for which there was no room.
let shows = 0;
let galleryDrawn = 0; // When; of many photos this takes longer than the analysis of one.
let thumbnails = Promise.resolve(); // The last one that is being drawn.

const options = () => ({ head: get("head").value, attributes: attributesOf(get("attributes")) });
const hiding = () => get("blur").value || (get("pixelate").checked ? "faces" : "");
const hidingOptions = () => ({ blur: hiding(), pixelate: get("pixelate").checked });

const sayFailed = (error) => say(() => text("failed", { reason: reasonOf(error) }), true);

// What the browser can decode, upright; otherwise the server's copy, on which all is drawn.
async function load(photo) {
  try {
    return await createImageBitmap(photo.blob);
  } catch {
    photo.drawn = true;
    return createImageBitmap(await annotate(photo.blob, { lang: language(), ...hidingOptions(), ...options() }));
  }
}

async function analyzeOne(photo) {
  const mine = run;
  const start = performance.now();
  const found = await analyze(photo.blob, options()).then((result) => ({ result, error: null }),
    (error) => ({ result: null, error }));
  // What comes late may have had other options.
  if (mine === run) Object.assign(photo, found, { ms: Math.round(performance.now() - start) });
}

const isPending = (photo) => !photo.result && !photo.error;

async function add(blobs) {
  const fresh = [...blobs].slice(0, MAX - photos.length).map((blob) => ({ blob, name: blob.name ?? "webcam.jpg" }));
  leftOut = blobs.length - fresh.length;
  if (!fresh.length) {
    if (leftOut && !isPending(current)) status();
    return;
  }
  if (fresh.length === 1 && photos.length <= 1) photos.length = 0;
  photos.push(...fresh);
  show(fresh[0]);
  await analyzeAll(photos.filter(isPending)); // With those of an earlier run, which ends.
}

async function analyzeAll(list) {
  const mine = ++run;
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < list.length && mine === run) {
      const photo = list[next++];
      await analyzeOne(photo);
      done += 1;
      if (mine !== run) return;
      const n = done;
      say(() => text("working", { n, total: list.length }));
      if (photo === current) await show(photo);
      if (n === list.length || performance.now() - galleryDrawn > 500) gallery();
    }
  };
  say(() => text("working", { n: 0, total: list.length }));
  gallery();
  await Promise.all(Array.from({ length: Math.min(4, list.length) }, work));
  if (mine === run) status();
}

function status() {
  if (!current) return;
  if (current.error) sayFailed(current.error);
  else {
    const { ms, result: { faces: { length: faces } } } = current;
    const rest = leftOut;
    say(() => [
      text(faces === 1 ? "doneOne" : "done", { faces, ms }),
      ...(rest ? [text("leftOut", { n: rest, max: MAX })] : []),
    ].join(". "));
  }
}

async function show(photo) {
  const mine = ++shows;
  current = photo;
  get("result").hidden = isPending(photo);
  get("name").textContent = photo.name;
  if (isPending(photo)) {
    bitmap = null;
    return;
  }
  let loaded = null;
  try {
    if (!photo.error) loaded = await load(photo);
  } catch (error) {
    photo.error = error;
  }
  if (mine !== shows) return;
  bitmap = loaded;
  get("result").hidden = !bitmap;
  status();
  if (!bitmap) return;
  draw();
  cards(get("faces"), photo.result.faces);
}

function draw() {
  const canvas = get("canvas");
  const context = canvas.getContext("2d");
  const factor = Math.max(1, Math.min(4, Math.round(SHOWN / bitmap.width)));
  canvas.width = bitmap.width * factor;
  canvas.height = bitmap.height * factor;
  drawnWidth = canvas.clientWidth;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  if (current.drawn || !current.result) return;
  const faces = current.result.faces.map((face) => enlarged(face, factor));
  hide(context, faces, hiding(), get("pixelate").checked);
  boxes(context, faces);
}

// Hidden faces are drawn; the others are the file itself.
function thumbnail(photo) {
  const part = hiding();
  if (!part) {
    photo.url ??= URL.createObjectURL(photo.blob);
    return element("img", { src: photo.url, alt: photo.name, loading: "lazy" });
  }
  const key = `${part} ${get("pixelate").checked} ${Boolean(photo.result)}`;
  if (photo.hidden?.key !== key) {
    const canvas = element("canvas", { width: THUMBNAIL, height: THUMBNAIL, role: "img", "aria-label": photo.name });
    photo.hidden = { key, canvas };
    if (photo.result) thumbnails = thumbnails.then(() => drawHidden(photo, key, part)).catch(() => {});
  }
  return photo.hidden.canvas;
}

async function drawHidden(photo, key, part) {
  if (photo.hidden.key !== key) return;
  const picture = await createImageBitmap(photo.blob);
  const { canvas } = photo.hidden;
  const factor = THUMBNAIL / picture.height;
  canvas.width = Math.round(picture.width * factor);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  hide(context, photo.result.faces.map((face) => enlarged(face, factor)), part, get("pixelate").checked);
  picture.close();
}

// New contents, with the focus at the same place.
function refill(parent, children) {
  const at = [...parent.children].indexOf(document.activeElement);
  parent.replaceChildren(...children);
  if (at >= 0) parent.children[Math.min(at, parent.children.length - 1)]?.focus({ preventScroll: true });
}

const emotionsOf = (photo) => new Set((photo.result?.faces ?? []).map((face) => face.emotion));

function gallery() {
  galleryDrawn = performance.now();
  get("gallery-area").hidden = photos.length < 2;
  if (photos.length < 2) return;
  if (!photos.some((photo) => emotionsOf(photo).has(filter))) filter = null;
  const counts = EMOTIONS.map((e) => [e, photos.filter((p) => emotionsOf(p).has(e)).length]);
  const chip = (label, value) => {
    const button = element("button", { type: "button", text: label, "aria-pressed": String(filter === value) });
    button.addEventListener("click", () => {
      filter = value;
      gallery();
    });
    return button;
  };
  refill(get("filters"), [chip(text("all", { n: photos.length }), null),
    ...counts.filter(([, n]) => n).map(([e, n]) => chip(`${nameOf(e)} (${n})`, e))]);
  const shown = photos.filter((photo) => !filter || emotionsOf(photo).has(filter));
  refill(get("gallery"), shown.map((photo) => {
    const faces = photo.result?.faces ?? [];
    const found = [...new Set(faces.map((face) => nameOf(face.emotion)))].join(", ");
    const label = photo.error ? "⚠" : found || (photo.result ? "–" : "…");
    const button = element("button", { type: "button", title: photo.name, "aria-current": String(photo === current) },
      thumbnail(photo), element("span", { text: label }));
    button.addEventListener("click", async () => {
      await show(photo);
      gallery();
    });
    return button;
  }));
}

async function openCamera() {
  try {
    stream = await openWebcam({ width: 1280, height: 720 });
  } catch (error) {
    say(() => text("noCamera", { reason: reasonOf(error) }), true);
  }
  if (!stream) return;
  get("preview").srcObject = stream;
  await get("preview").play();
  get("camera").hidden = false;
}

function closeCamera() {
  closeWebcam(stream);
  stream = null;
  get("camera").hidden = true;
}

async function shoot() {
  const video = get("preview");
  const canvas = element("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  closeCamera();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  await add([new File([blob], "webcam.jpg")]);
}

export function setupDrop(area, onFiles) {
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    onFiles(event.dataTransfer.files);
  });
}

const stem = (name) => name.replace(/\.[^.]*$/, "");

export function setup() {
  setupDrop(get("drop"), add);
  get("files").addEventListener("change", async (event) => {
    await add(event.target.files);
    event.target.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
    if (files.length && !document.getElementById("photo").hidden) add(files);
  });
  get("webcam").addEventListener("click", () => (stream ? closeCamera() : openCamera()));
  get("shoot").addEventListener("click", shoot);
  for (const id of ["blur", "pixelate"]) {
    get(id).addEventListener("change", () => {
      gallery();
      if (current) show(current);
    });
  }
  for (const id of ["head", "attributes"]) {
    get(id).addEventListener("change", () => photos.length && analyzeAll([...photos]));
  }
  get("save").addEventListener("click", async () => {
    const { blob, name } = current;
    try {
      save(await annotate(blob, { lang: language(), ...hidingOptions(), ...options() }), `${stem(name)}-fastfer.jpg`);
    } catch (error) {
      sayFailed(error);
    }
  });
  get("json").addEventListener("click", () => {
    const { faces, ...result } = current.result;
    const kept = get("landmarks").checked ? faces.map((face) => ({ ...face, landmarks: null })) : faces;
    const text = JSON.stringify({ ...result, source: current.name, faces: kept }, null, 2);
    save(new Blob([text], { type: "application/json" }), `${stem(current.name)}-fastfer.json`);
  });
  // Captions are as large as the picture on the screen asks for.
  new ResizeObserver(([{ target }]) => {
    if (bitmap && target.clientWidth && target.clientWidth !== drawnWidth) draw();
  }).observe(get("canvas"));
  onLanguage(() => {
    gallery();
    if (current) show(current);
  });
}

export const leave = closeCamera;
