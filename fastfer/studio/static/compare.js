// The tab Compare models: one photo, two networks side by side.

import { analyze, annotate } from "./api.js";
import { boxes, cards, element, enlarged, hide, messages } from "./draw.js";
import { language, onLanguage, reasonOf, text } from "./i18n.js";
import { setupDrop } from "./photo.js";

const get = (id) => document.getElementById(`compare-${id}`);
const say = messages(get("message"));
const HEADS = [["ferplus", "FER+"], ["fer2013", "FER-2013"]];
const sides = [];
let photo = null;
let runs = 0;

const hiding = () => get("blur").value || (get("pixelate").checked ? "faces" : "");

class Side {
  constructor(number) {
    this.number = number;
    this.head = element("select", { className: "compare-head" },
      ...HEADS.map(([value, label]) => element("option", { value, text: label })));
    this.head.selectedIndex = number;
    this.detector = element("select", { className: "compare-detector" });
    this.canvas = element("canvas");
    this.faces = element("div");
    this.result = null;
    for (const control of [this.head, this.detector]) control.addEventListener("change", run);
    this.title = element("span");
    this.detectorTitle = element("span");
    this.canvas.hidden = true;
    new ResizeObserver(() => this.canvas.clientWidth !== this.drawnWidth && this.draw()).observe(this.canvas);
    get("sides").append(element("article", {},
      element("div", { className: "row" }, element("label", {}, this.title, this.head),
        element("label", {}, this.detectorTitle, this.detector)), this.canvas, this.faces));
    this.name();
  }

  name() {
    this.title.textContent = text("model", { n: this.number + 1 });
    this.detectorTitle.textContent = text("detector");
    for (const option of this.detector.options) {
      option.textContent = option.value === "default" ? text("defaultDetector") : option.value;
    }
    this.show();
  }

  async run() {
    const options = { head: this.head.value, detector: this.detector.value };
    const mine = runs;
    this.result = null;
    const result = await analyze(photo.blob, options);
    // The server draws what only it can decode.
    const bitmap = photo.bitmap ?? await createImageBitmap(await annotate(photo.blob,
      { lang: language(), blur: hiding(), pixelate: get("pixelate").checked, ...options }));
    if (mine === runs) Object.assign(this, { result, bitmap });
  }

  show() {
    this.canvas.hidden = !this.result;
    this.draw();
    if (this.result) cards(this.faces, this.result.faces);
    else this.faces.replaceChildren();
  }

  draw() {
    if (!this.result || !photo) return;
    const { width, height } = this.bitmap;
    const factor = Math.max(1, Math.min(4, Math.round(800 / width)));
    this.canvas.width = width * factor;
    this.canvas.height = height * factor;
    this.drawnWidth = this.canvas.clientWidth;
    const context = this.canvas.getContext("2d");
    context.drawImage(this.bitmap, 0, 0, width * factor, height * factor);
    if (!photo.bitmap) return;
    // Both sides hide what either found.
    for (const { result } of sides) {
      const faces = (result?.faces ?? []).map((face) => enlarged(face, factor));
      hide(context, faces, hiding(), get("pixelate").checked);
    }
    boxes(context, this.result.faces.map((face) => enlarged(face, factor)));
  }
}

function overlap(a, b) {
  const w = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  const shared = Math.max(0, w) * Math.max(0, h);
  return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}

function agreement() {
  const [first, second] = sides.map((side) => side.result?.faces ?? []);
  const pairs = first.map((face) => [face, second.find((other) => overlap(face.box, other.box) > 0.4)])
    .filter(([, other]) => other);
  const same = pairs.filter(([a, b]) => a.emotion === b.emotion).length;
  get("agreement").textContent = pairs.length ? text("agree", { same, n: pairs.length }) : "";
}

async function run() {
  if (!photo) return;
  const mine = ++runs;
  say(() => text("working", { n: 0, total: sides.length }));
  const ends = await Promise.allSettled(sides.map((side) => side.run()));
  if (mine !== runs) return; // A newer one has begun.
  const failed = ends.find(({ status }) => status === "rejected");
  if (failed) say(() => text("failed", { reason: reasonOf(failed.reason) }), true);
  else say(() => "");
  for (const side of sides) side.show();
  agreement();
}

async function open(files) {
  if (!files[0]) return;
  const mine = ++runs;
  const bitmap = await createImageBitmap(files[0]).catch(() => null);
  if (mine !== runs) return;
  photo = { blob: files[0], bitmap };
  await run();
}

export function setup() {
  sides.push(new Side(0), new Side(1));
  setupDrop(get("drop"), open);
  get("file").addEventListener("change", (event) => open(event.target.files));
  for (const id of ["blur", "pixelate"]) {
    get(id).addEventListener("change", () => {
      if (photo && !photo.bitmap) run(); // The server draws it again.
      else for (const side of sides) side.draw();
    });
  }
  onLanguage(() => {
    for (const side of sides) side.name();
    agreement();
  });
}

// What the server has.
export function offer(detectors) {
  for (const side of sides) {
    side.detector.replaceChildren(...detectors.map((value) => element("option", { value })));
    side.name();
  }
}

export const leave = () => {};
