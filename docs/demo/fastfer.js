// Faces and their expressions, with onnxruntime-web: detection, crops, expression network.

import { Detector } from "./detector.js";
import { SIZE, canCrop, pack } from "./pixels.js";

export const EMOTIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];
const CROP = { width: 1.233, height: 0.928, x: -0.006, y: -0.01 };
const LEVEL = (10 * Math.PI) / 180;

// The square that the expression network sees, from the detector's box.
function cropOf([x, y, w, h]) {
  const side = Math.fround((w * CROP.width + h * CROP.height) / 2);
  return [x + w / 2 + CROP.x * w - side / 2, y + h / 2 + CROP.y * h - side / 2, side, side];
}

// How far a head is tilted, in radians; 0 below ten degrees.
function rollOf(points) {
  const minus = ([ax, ay], [bx, by]) => [ax - bx, ay - by];
  const plus = ([ax, ay], [bx, by]) => [ax + bx, ay + by];
  const unit = ([x, y]) => [x, y].map((v) => v / Math.max(Math.hypot(x, y), 1e-9));
  const [right, left, , mouthRight, mouthLeft] = points;
  const [dx, dy] = minus(plus(mouthRight, mouthLeft), plus(right, left));
  const lines = plus(unit(minus(left, right)), unit(minus(mouthLeft, mouthRight)));
  const [x, y] = plus(unit(lines), unit([dy, -dx]));
  const angle = Math.atan2(y, x);
  return Math.abs(angle) >= LEVEL ? angle : 0;
}

// The faces of a batch, each mirrored left to right.
function mirrored(batch) {
  return batch.map((_, i) => batch[i - (i % SIZE) + SIZE - 1 - (i % SIZE)]);
}

// The normalised geometric mean of the seven probabilities that begin at two places.
function mean(data, one, other) {
  const row = EMOTIONS.map((_, i) => Math.sqrt(data[one + i] * data[other + i]));
  const sum = row.reduce((a, b) => a + b);
  return row.map((value) => value / sum);
}

export class Fastfer {
  // `load(name)` returns the bytes of a model file.
  static async create(ort, load) {
    const open = async (name) => ort.InferenceSession.create(await load(name), {
      executionProviders: ["wasm"], graphOptimizationLevel: "all" });
    const self = new Fastfer();
    self.ort = ort;
    self.detector = new Detector(ort, await open("nano.onnx"), await open("refiner.onnx"));
    self.network = await open("expression.onnx");
    return self;
  }

  // The faces of a picture {width, height, data}: box, landmarks, score and probabilities.
  async analyze(picture) {
    const faces = (await this.detector.detect(picture))
      .filter((face) => canCrop(cropOf(face.box), picture));
    if (!faces.length) return [];
    const crops = faces.map((face) => cropOf(face.box));
    const batch = pack(picture, crops, faces.map((face) => rollOf(face.landmarks)));
    const both = new Float32Array(2 * batch.length);
    both.set(batch);
    both.set(mirrored(batch), batch.length);
    const tensor = new this.ort.Tensor("float32", both, [2 * faces.length, SIZE, SIZE, 1]);
    const { probabilities: { data } } = await this.network.run({ faces: tensor }, ["probabilities"]);
    return faces.map((face, n) => {
      const row = mean(data, 7 * n, 7 * (faces.length + n));
      const best = row.indexOf(Math.max(...row));
      return { ...face, emotion: EMOTIONS[best], confidence: row[best],
        probabilities: Object.fromEntries(EMOTIONS.map((name, i) => [name, row[i]])) };
    });
  }
}
