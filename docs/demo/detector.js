// The bundled face detector: a coarse pass, a finer one, and the second stage that refines each
// proposal. A port of fastfer/detectors/nano.py and coarse_to_fine.py with two of their scales.

import { SIZE, canCrop, pack } from "./pixels.js";

const COARSE = 288;
export const FINE = 640;
const [STEP, CLOSE_SHARE, CLOSE_SCORE, CLOSE_OTHERS] = [1.25, 0.2, 0.4, 1];
const [PROPOSAL, SCORE, OVERLAP] = [0.2, 0.5, 0.4];
const [MAX_REFINED, MAX_REPLACED, NESTED, CONFIDENT] = [200, 100, 3, 0.5];
const [TINY_SIDE, TINY_ODDS, CROP_SCALE] = [16, 1.86, 1.4];
const [CONTEXT_SCALE, CONTEXT_SIZE] = [2, 24];

const side = ({ box }) => Math.sqrt(box[2] * box[3]);

const round = (values) => values.map(Math.fround); // As arrays of float32 in Python.

export function scaled(face, x, y) {
  const [l, t, w, h] = face.box;
  return { ...face, box: round([l * x, t * y, w * x, h * y]),
    landmarks: face.landmarks.map(([px, py]) => round([px * x, py * y])) };
}

function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const w = Math.min(ax + aw, bx + bw) - Math.max(ax, bx);
  const h = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  return w > 0 && h > 0 ? (w * h) / (aw * ah + bw * bh - w * h) : 0;
}

function suppress(faces) {
  const kept = [];
  for (const face of [...faces].sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => overlap(other.box, face.box) <= OVERLAP)) kept.push(face);
  }
  return kept;
}

const inside = ({ box: [x, y, w, h] }, width, height) => x >= 0 && y >= 0 && x + w <= width && y + h <= height;

// Whether a face is a part, such as an eye, of a far larger confident one.
const isNested = (face, known) => known.some(({ box: [x, y, w, h], score }) => {
  const [cx, cy] = [face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2];
  return score >= CONFIDENT && side(face) <= Math.sqrt(w * h) / NESTED
    && cx >= x && cx <= x + w && cy >= y && cy <= y + h;
});

// The gray of OpenCV, which the first stage sees; pixels.js has the engine's.
function toGray({ width, height, data }) {
  const gray = new Uint8Array(width * height);
  for (let i = 0; i < gray.length; i += 1) {
    gray[i] = (data[4 * i] * 9798 + data[4 * i + 1] * 19235 + data[4 * i + 2] * 3735 + 16384) >> 15;
  }
  return { width, height, data: gray };
}

// Round halves to even.
const toEven = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

// Halve while possible, then interpolate; never enlarges.
export function shrink(picture, width, height) {
  let { data } = picture;
  let [w, h] = [picture.width, picture.height];
  while (w >= 2 * width && h >= 2 * height) {
    const [halfW, halfH] = [w >> 1, h >> 1];
    const half = new Uint8Array(halfW * halfH);
    for (let y = 0; y < halfH; y += 1) {
      for (let x = 0; x < halfW; x += 1) {
        const at = 2 * y * w + 2 * x;
        half[y * halfW + x] = (data[at] + data[at + 1] + data[at + w] + data[at + w + 1] + 2) >> 2;
      }
    }
    [data, w, h] = [half, halfW, halfH];
  }
  if (w === width && h === height) return { width, height, data };
  // Linear interpolation with weights of 11 bits, as OpenCV's.
  const axis = (outputs, inputs) => Array.from({ length: outputs }, (_, i) => {
    const at = Math.min(Math.max(Math.fround((i + 0.5) * (inputs / outputs) - 0.5), 0), inputs - 1);
    const first = Math.floor(at);
    const beside = Math.fround(at - first);
    return [first, Math.min(first + 1, inputs - 1), toEven((1 - beside) * 2048), toEven(beside * 2048)];
  });
  const [columns, rows] = [axis(width, w), axis(height, h)];
  const result = new Uint8Array(width * height);
  rows.forEach(([top, bottom, above, below], y) => columns.forEach(([left, right, near, far], x) => {
    const first = data[top * w + left] * near + data[top * w + right] * far;
    const second = data[bottom * w + left] * near + data[bottom * w + right] * far;
    result[y * width + x] = (((above * (first >> 4)) >> 16) + ((below * (second >> 4)) >> 16) + 2) >> 2;
  }));
  return { width, height, data: result };
}

export class Detector {
  constructor(ort, network, refiner) {
    [this.ort, this.network, this.refiner] = [ort, network, refiner];
  }

  // The faces of a picture (RGBA), from left to right.
  async detect(picture) {
    const long = Math.max(picture.width, picture.height);
    const gray = toGray(picture);
    const finest = Math.min(long, FINE);
    const scales = COARSE * STEP <= finest ? [COARSE, finest] : [finest];
    let found = [];
    for (const [pass, scale] of scales.entries()) {
      const width = Math.max(1, Math.round((picture.width * scale) / long));
      const height = Math.max(1, Math.round((picture.height * scale) / long));
      let candidates = await this.propose(shrink(gray, width, height));
      if (pass) candidates = candidates.filter((face) => side(face) <= MAX_REFINED);
      // A finer pass replaces what lies in the picture whole.
      const known = found.map((face) => scaled(face, width, height))
        .filter((face) => side(face) > MAX_REPLACED || !inside(face, width, height));
      candidates = candidates.filter((face) => !isNested(face, known));
      const both = suppress([...known, ...candidates]);
      found = both.map((face) => scaled(face, 1 / width, 1 / height));
      const large = both.filter((face) => side(face) >= CLOSE_SHARE * scale);
      const others = both.length - large.length;
      if (large.some((face) => face.score >= CLOSE_SCORE) && others <= CLOSE_OTHERS) break;
    }
    found = found.map((face) => scaled(face, picture.width, picture.height));
    let faces = (await this.refine(picture, found)).map((face) => {
      const { score } = face;
      const tiny = side(face) * Math.min(1, (4 * FINE) / long) < TINY_SIDE;
      return { ...face, score: tiny ? score / (score + TINY_ODDS * (1 - score)) : score };
    });
    faces = suppress(faces.filter((face) => face.score >= SCORE));
    return faces.filter((face) => !isNested(face, faces)).sort((a, b) => a.box[0] - b.box[0]);
  }

  // The first stage on a gray picture.
  async propose({ width, height, data }) {
    const [wide, high] = [Math.ceil(width / 32) * 32, Math.ceil(height / 32) * 32];
    const canvas = new Uint8Array(wide * high);
    for (let y = 0; y < height; y += 1) canvas.set(data.subarray(y * width, (y + 1) * width), y * wide);
    const maps = await this.network.run({
      picture: new this.ort.Tensor("uint8", canvas, [1, high, wide, 1]) });
    const lowest = Math.log(PROPOSAL / (1 - PROPOSAL));
    const faces = [];
    for (const stride of [8, 16, 32]) {
      const { data: map, dims: [, , rows, columns] } = maps[`grid_${stride}`];
      const plane = rows * columns;
      for (let cell = 0; cell < plane; cell += 1) {
        if (map[cell] < lowest) continue;
        const [x, y] = [(cell % columns) + 0.5, Math.floor(cell / columns) + 0.5];
        const [l, t, r, b] = [1, 2, 3, 4].map((p) => map[p * plane + cell]);
        const box = round([x - l, y - t, l + r, t + b]).map((v) => v * stride);
        const landmarks = [0, 1, 2, 3, 4].map((p) => [
          (map[(5 + 2 * p) * plane + cell] + x) * stride,
          (map[(6 + 2 * p) * plane + cell] + y) * stride]);
        if (box[2] > 0 && box[3] > 0) faces.push({ box, landmarks, score: 1 / (1 + Math.exp(-map[cell])) });
      }
    }
    return suppress(faces);
  }

  // The second stage sees each proposal, and what surrounds it, in the picture itself.
  async refine(picture, proposals) {
    const crops = [];
    const found = [];
    for (const face of proposals) {
      const [x, y, w, h] = face.box;
      const long = CROP_SCALE * Math.max(w, h);
      const crop = [x + (w - long) / 2, y + (h - long) / 2, long, long];
      if (canCrop(crop, picture)) [crops.push(crop), found.push(face)];
    }
    if (!found.length) return [];
    const tensor = (boxes, size) => new this.ort.Tensor(
      "float32", pack(picture, boxes, [], size), [boxes.length, size, size, 1]);
    const margin = (CONTEXT_SCALE - 1) / 2;
    const contexts = crops.map(([x, y, w]) => [
      x - w * margin, y - w * margin, w * CONTEXT_SCALE, w * CONTEXT_SCALE]);
    const { faces: { data } } = await this.refiner.run({
      crops: tensor(crops, SIZE), contexts: tensor(contexts, CONTEXT_SIZE) });
    return found.map((face, n) => {
      const v = data.subarray(n * 15, n * 15 + 15);
      const [x, y, long] = round(crops[n]);
      const [cx, cy] = [x + long / 2, y + long / 2];
      const [w, h] = [Math.exp(v[3]) * long, Math.exp(v[4]) * long];
      return { box: round([cx + v[1] * long - w / 2, cy + v[2] * long - h / 2, w, h]),
        score: 1 / (1 + ((1 - face.score) / face.score) * Math.exp(-v[0])),
        landmarks: [0, 1, 2, 3, 4].map((p) => round([cx + v[5 + 2 * p] * long, cy + v[6 + 2 * p] * long])) };
    });
  }
}
