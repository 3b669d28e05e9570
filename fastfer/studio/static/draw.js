// Faces on a canvas, and as bars beside it.

import { EMOTIONS, language, nameOf, onLanguage, text } from "./i18n.js";

const { COLORS, element, looks, WORDS } = globalThis.fastferTimeline;
const GRAY = "#9a958f";

export const colorOf = (face) => (face.emotion ? COLORS[face.emotion] : GRAY);

// The face in a picture that is `factor` times as large.
export function enlarged(face, factor) {
  const landmarks = face.landmarks?.map((point) => point.map((value) => value * factor)) ?? null;
  return { ...face, landmarks, box: face.box.map((value) => value * factor) };
}

// Black or white text on a colour, whichever has more contrast: they are equal at a luminance of 0.179.
function inkOn(color) {
  const channels = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);
  const [r, g, b] = channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

function hidden(face, part) {
  const [x, y, w, h] = face.box;
  if (part === "faces") return [x + w / 2, y + h / 2, 0.65 * w, 0.65 * h];
  const marks = face.landmarks;
  if (!marks) return [x + w / 2, y + 0.4 * h, 0.55 * w, 0.2 * h];
  const [[ax, ay], [bx, by]] = marks;
  const reach = Math.max(Math.hypot(bx - ax, by - ay), 0.4 * w);
  return [(ax + bx) / 2, (ay + by) / 2, reach, Math.max(0.5 * reach, 0.18 * h)];
}

// Hide faces or eyes of what is already on the canvas, by four samples across a face, as the library does.
export function hide(context, faces, part, pixelate = false) {
  if (!part) return;
  const small = document.createElement("canvas");
  for (const face of faces) {
    const [cx, cy, rx, ry] = hidden(face, part);
    const block = Math.max(1, face.box[2] / 4);
    small.width = Math.max(1, Math.round((2 * rx) / block));
    small.height = Math.max(1, Math.round((2 * ry) / block));
    const area = [cx - rx, cy - ry, 2 * rx, 2 * ry];
    const reduce = small.getContext("2d");
    reduce.imageSmoothingQuality = "high";
    reduce.drawImage(context.canvas, ...area, 0, 0, small.width, small.height);
    context.save();
    context.beginPath();
    context.ellipse(cx, cy, rx, ry, 0, 0, 2 * Math.PI);
    context.clip();
    context.imageSmoothingEnabled = !pixelate;
    context.drawImage(small, ...area);
    context.restore();
  }
}

const FOREHEAD = 0.22; // Upper share of a face that a neighbour's caption may cover.

// The free place of the longest caption that has one, as fastfer/display/layout.py chooses it: off all faces, at
// the top of its own, on a forehead, or beside the face.
function placed(context, face, faces, taken, size, forms) {
  const { width, height } = context.canvas;
  const [x, y, w, h] = face.box;
  const tall = size * 1.4;
  const others = faces.filter((other) => other !== face).map(({ box }) => box);
  const cores = others.map(([l, t, across, down]) => [l, t + FOREHEAD * down, across, (1 - FOREHEAD) * down]);
  for (const words of forms) {
    const long = context.measureText(words).width + size * 0.7;
    const [low, end] = [y + h, Math.max(0, width - long)];
    const lefts = [x, x + w - long].map((left) => Math.min(Math.max(0, left), end));
    const outside = [y - tall, low].flatMap((top) => lefts.map((left) => [left, top]));
    const inside = long <= w && tall <= h / 4 ? [[x, y]] : [];
    const beside = [y, low - tall].flatMap((top) => [[x + w, top], [x - long, top]]);
    // A number alone, on which the cards rely, may lie in the lower corners.
    const corners = words === forms.at(-1) ? lefts.map((left) => [left, low - tall]) : [];
    for (const [places, obstacles] of [[outside, [face.box, ...others]], [inside, cores],
      [outside, [face.box, ...cores]], [beside, [face.box, ...others]], [corners, cores]]) {
      for (const [left, top] of places) {
        const area = [left, top, long, tall];
        const whole = left >= 0 && top >= 0 && left + long <= width && top + tall <= height;
        if (whole && ![...obstacles, ...taken].some((a) => meet(a, area))) return { words, area };
      }
    }
  }
  return null;
}

function write(context, words, [left, top, long, tall], size, paper, ink) {
  context.fillStyle = paper;
  context.fillRect(left, top, long, tall);
  context.fillStyle = ink;
  context.textBaseline = "middle";
  context.fillText(words, left + size * 0.35, top + size * 0.74);
}

const LEGIBLE = 11; // Least height of letters, in pixels of the screen.

// Pixels of a canvas in one of the screen; 1 while it is not shown.
function density({ width, height, clientWidth, clientHeight }) {
  return clientWidth && clientHeight ? Math.max(width / clientWidth, height / clientHeight) : 1;
}

export function boxes(context, faces) {
  const { width, height } = context.canvas;
  const scale = Math.max(width, height);
  const least = Math.max(LEGIBLE * density(context.canvas), scale / 60, 12);
  context.lineWidth = Math.max(2, scale / 300);
  const taken = [];
  const lines = [];
  const numbered = faces.map((face, index) => ({ face, number: `${face.track_id ?? index + 1}` }));
  for (const { face } of numbered) {
    const [x, y, w, h] = face.box;
    context.strokeStyle = "#161a1c";
    context.strokeRect(x - 1, y - 1, w + 2, h + 2);
    context.strokeStyle = colorOf(face);
    context.strokeRect(x, y, w, h);
  }
  for (const { face, number } of numbered.sort((a, b) => b.face.box[2] - a.face.box[2])) {
    const size = Math.ceil(Math.max(Math.min(face.box[2] * 0.14, scale / 28), least));
    context.font = `600 ${size}px system-ui, sans-serif`;
    const name = `${number}: ${nameOf(face.emotion)}${face.uncertain ? "?" : ""}`;
    const sure = face.score === null ? [] : [`${name} ${Math.round(face.score * 100)} %`];
    const label = placed(context, face, faces, taken, size, [...sure, name, number]);
    if (!label) continue;
    write(context, label.words, label.area, size, colorOf(face), inkOn(colorOf(face)));
    taken.push(label.area);
    lines.push([face, looks(face.attributes, language()).join(", "), label.area, size]);
  }
  for (const [face, words, [left, top, , tall], size] of lines) {
    if (!words || face.box[2] < scale / 16) continue;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const long = context.measureText(words).width + size * 0.7;
    const [, y, , h] = face.box;
    const area = [top < y ? top - tall : top + tall, y + h]
      .map((at) => [Math.min(left, Math.max(0, width - long)), at, long, tall])
      .find((a) => a[1] >= 0 && a[1] + tall <= height
        && ![...faces.map(({ box }) => box), ...taken].some((other) => meet(other, a)));
    if (!area) continue; // No free place beyond the label, or below the face.
    taken.push(area);
    write(context, words, area, size, "#161a1c", "#ffffff");
  }
}

// Whether two rectangles share more than an edge.
function meet([ax, ay, aw, ah], [bx, by, bw, bh]) {
  return Math.min(ax + aw, bx + bw) - Math.max(ax, bx) > 0.5 && Math.min(ay + ah, by + bh) - Math.max(ay, by) > 0.5;
}

// How a face looks, with probabilities; empty if that was not asked for.
function looksOf({ attributes }) {
  if (!attributes) return "";
  const words = WORDS[language()];
  const { gender, perceived_gender: name, age, age_group: group } = attributes;
  const percent = (share) => `(${Math.round(share * 100)} %)`;
  const found = [];
  if (name) found.push(`${words[name]} ${percent(gender[name])}`);
  if (group) found.push(`${words.years.replace("{age}", group)} ${percent(age[group])}`);
  return text("looks", { what: found.join(", ") });
}

export function bars(probabilities) {
  return EMOTIONS.map((emotion) => {
    const share = Math.round(probabilities[emotion] * 100);
    const inner = element("div");
    inner.style.width = `${share}%`;
    inner.style.background = COLORS[emotion];
    return element("div", { className: "bar" }, element("span", { text: nameOf(emotion) }),
      element("div", { className: "meter" }, inner), element("span", { text: `${share} %` }));
  });
}

export function card(face, index) {
  const node = element("article", { className: "face" });
  node.style.borderLeftColor = colorOf(face);
  const number = face.track_id ?? index + 1;
  const state = face.low_quality ? text("lowQuality") : nameOf(face.emotion);
  const notes = [text("quality", { q: face.quality.toFixed(2) })];
  if (face.uncertain) notes.push(text("uncertain"));
  node.append(element("h3", { text: `${text("face", { n: number })}: ${state}` }),
    ...bars(face.probabilities), element("p", { text: notes.join(", ") }));
  const look = looksOf(face);
  if (look) node.append(element("p", { className: "looks", text: look }));
  return node;
}

export function cards(parent, faces) {
  if (faces.length) parent.replaceChildren(...faces.map(card));
  else parent.replaceChildren(element("p", { text: text("noFace") }));
}

export function legend(parent) {
  parent.replaceChildren(...EMOTIONS.map((emotion) => {
    const swatch = element("span", { className: "ff-swatch" });
    swatch.style.background = COLORS[emotion];
    return element("span", {}, swatch, nameOf(emotion));
  }));
}

// Writes a message, given as a function, to `node`, and again in each other language.
export function messages(node) {
  let write = () => "";
  const show = () => {
    node.textContent = write();
  };
  onLanguage(show);
  return (message, error = false) => {
    write = message;
    node.classList.toggle("error", error);
    show();
  };
}

export { COLORS, element };
