// The pixel contract: how a box of a picture becomes 48 x 48 gray values. The same integers as
// fastfer/kernels/reference.py, so that the INT8 network gives the same answers as in Python.
//
// A picture is {width, height, data}: RGBA bytes, as of ImageData. A box is [x, y, width, height].

export const SIZE = 48;
const [SUBPIXEL, INVERSE_BITS, COVERAGE_BITS, ROW_BITS, ONE, LERP] = [256, 46, 16, 7, 65536, 16384];
const GRAY = [4899, 9617, 1868]; // Red, green and blue, in 1 / 16384.

// Numbers beyond 32 bits, which >> would cut.
const shiftRight = (value, bits) => Math.floor(value / 2 ** bits);
const towardZero = (a, b) => Math.trunc(a / b);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// The interval of each output on one axis, in units of 1 / pixel; start and side in 1/256 px.
function intervals(start, side, size) {
  const pixel = 2 * SUBPIXEL * size;
  const origin = 2 * size * start;
  const shrinks = side > SUBPIXEL * size;
  const length = shrinks ? 2 * side : pixel;
  const middle = origin + size * (side - SUBPIXEL);
  const [first, last] = side > SUBPIXEL ? [origin, 2 * middle - origin] : [middle, middle];
  const starts = Array.from({ length: size }, (_, j) => (shrinks ? origin + 2 * j * side
    : clamp(origin + (2 * j + 1) * side - SUBPIXEL * size, first, last)));
  return { starts, length, pixel, inverse: Math.floor(2 ** INVERSE_BITS / length) };
}

// For each output [row, weight, row, weight ...]; the weights add up to 2 ** bits.
function rowWeights({ starts, length, pixel, inverse }, height) {
  const bits = Math.min(13 + Math.floor(length / pixel).toString(2).length, 22);
  const inner = shiftRight(pixel * inverse, INVERSE_BITS - bits);
  const lines = starts.map((a) => {
    const [first, last] = [Math.floor(a / pixel), Math.floor((a + length - 1) / pixel)];
    const line = [];
    let left = 2 ** bits;
    for (let row = first; row <= last; row += 1) {
      let weight = inner;
      if (row === last) weight = left;
      else if (row === first) weight = shiftRight(((first + 1) * pixel - a) * inverse, INVERSE_BITS - bits);
      left -= weight;
      line.push(clamp(row, 0, height - 1), weight);
    }
    return line;
  });
  return { lines, bits };
}

// For each output [column, red, green, blue ...]: differences of a rounded running sum.
function columnWeights({ starts, length, pixel, inverse }, width) {
  return starts.map((a) => {
    const line = [];
    let before = [0, 0, 0];
    for (let column = Math.floor(a / pixel); column * pixel < a + length; column += 1) {
      const reached = Math.min((column + 1) * pixel - a, length);
      const coverage = shiftRight(reached * inverse, INVERSE_BITS - COVERAGE_BITS);
      const until = GRAY.map((gray) => (coverage * gray + 2 ** (COVERAGE_BITS - 1)) >> COVERAGE_BITS);
      line.push(clamp(column, 0, width - 1), ...until.map((value, channel) => value - before[channel]));
      before = until;
    }
    return line;
  });
}

// A tile of size x size in units of 2 ** -21 gray; the box is in 1/256 px.
function sums({ width, height, data }, [x, y, w, h], size) {
  const { lines, bits } = rowWeights(intervals(y, h, size), height);
  const columns = columnWeights(intervals(x, w, size), width);
  const used = new Set(columns.flatMap((line) => line.filter((_, i) => i % 4 === 0)));
  const down = 2 ** (bits - ROW_BITS);
  const averaged = new Float64Array(3 * width);
  const tile = new Float64Array(size * size);
  lines.forEach((rows, i) => {
    for (const column of used) {
      for (let channel = 0; channel < 3; channel += 1) {
        let sum = 0;
        for (let r = 0; r < rows.length; r += 2) sum += rows[r + 1] * data[4 * (rows[r] * width + column) + channel];
        averaged[3 * column + channel] = Math.floor((sum + down / 2) / down);
      }
    }
    columns.forEach((line, j) => {
      let sum = 0;
      for (let c = 0; c < line.length; c += 4) {
        for (let channel = 0; channel < 3; channel += 1) sum += line[c + 1 + channel] * averaged[3 * line[c] + channel];
      }
      tile[i * size + j] = sum;
    });
  });
  return tile;
}

// A tile of a face turned by `angle`: a larger upright one, sampled on the rotated grid.
function rotated(picture, [x, y, w, h], angle) {
  const turn = [Math.cos(angle), Math.sin(angle)].map((value) => Math.round(value * ONE));
  const side = Math.max(Math.floor((w + h) / 2), SUBPIXEL);
  const size = Math.floor((SIZE * 1449) / 1024) + 3;
  const wide = Math.floor((2 * side * size + SIZE) / (2 * SIZE));
  const [left, top] = [Math.floor((2 * x + w - wide) / 2), Math.floor((2 * y + h - wide) / 2)];
  const tile = sums(picture, [left, top, wide, wide], size).map((v) => shiftRight(v + 2 ** 13, 14));
  const centre = (corner, from, long) => Math.floor(((2 * (corner - from) + long) * size * ONE) / 2 / wide) - ONE / 2;
  const [centreX, centreY] = [centre(x, left, w), centre(y, top, h)];
  const [cosine, sine] = turn.map((value) => towardZero(value * side * size, 2 * SIZE * wide));
  const mix = (a, b, weight) => a * (LERP - weight) + b * weight;
  return Float64Array.from({ length: SIZE * SIZE }, (_, at) => {
    const [across, down] = [2 * (at % SIZE) + 1 - SIZE, 2 * Math.floor(at / SIZE) + 1 - SIZE];
    const [u, v] = [centreX + across * cosine - down * sine, centreY + across * sine + down * cosine];
    const place = Math.floor(v / ONE) * size + Math.floor(u / ONE);
    const [right, below] = [u, v].map((value) => (value - ONE * Math.floor(value / ONE)) >> 2);
    const [first, second] = [place, place + 1].map((p) => shiftRight(mix(tile[p], tile[p + size], below) + 2 ** 13, 14));
    return mix(first, second, right);
  });
}

// One batch of faces, (N, size, size, 1), 0 to 1; angles need a size of 48.
export function pack(picture, crops, angles = [], size = SIZE) {
  const factor = Math.fround(1 / 255 / 2 ** 21);
  const batch = new Float32Array(crops.length * size * size);
  crops.forEach((crop, n) => {
    const box = crop.map((value) => Math.floor(Math.fround(value) * SUBPIXEL + 0.5));
    const tile = angles[n] ? rotated(picture, box, angles[n]) : sums(picture, box, size);
    batch.set(tile.map((value) => Math.fround(value) * factor), n * size * size);
  });
  return batch;
}

export function canCrop([x, y, w, h], { width, height }) {
  return [x, y, w, h].every(Number.isFinite) && w > 0 && h > 0 && x > -w && y > -h && x < width && y < height;
}
