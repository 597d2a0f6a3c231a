/** Finds the lines of ruled and squared paper, as `mnist_helpers/handwriting.py` does. */

import { mask, roundEven, transposed, type Mask } from "./raster.ts";

/** How steep a line can be in the picture, and the share of the picture that it crosses. */
const STEEPEST = 0.08;
const NUM_SLOPES = 81;
const LENGTH = 0.6;
/** Smaller pictures are too coarse to tell a rule from a stroke. */
const SMALLEST = 200;

/** Which pixels belong to ruled lines, across or down. */
export function ruledLines(ink: Mask): Mask {
  if (Math.max(ink.height, ink.width) < SMALLEST) return mask(ink.height, ink.width);
  const across = rulesAcross(ink);
  const down = transposed(rulesAcross(transposed(ink)));
  across.values.forEach((is, at) => (across.values[at] = is | down.values[at]));
  return across;
}

/** Pixels in columns of ink of at least `least`. */
function thickInk({ height, width, values }: Mask, least: number): Mask {
  const thick = mask(height, width);
  for (let column = 0; column < width; column += 1) {
    let start = 0;
    for (let row = 0; row <= height; row += 1) {
      if (row < height && values[row * width + column]) continue;
      if (row - start >= least)
        for (let inside = start; inside < row; inside += 1)
          thick.values[inside * width + column] = 1;
      start = row + 1;
    }
  }
  return thick;
}

/**
 * Thin straight lines across most of the picture: at least two, because a 7 has one bar.
 *
 * Where a stroke crosses a rule the ink is higher than a rule is, so that it stays.
 */
function rulesAcross(ink: Mask): Mask {
  const { height, width } = ink;
  const thick = thickInk(ink, Math.max(3, roundEven(0.01 * Math.max(height, width))) + 1);
  const isThin = (at: number): boolean => ink.values[at] === 1 && thick.values[at] === 0;
  const [narrow, covered]: [number[], number[]] = [[], []];
  ink.values.forEach((is, at) => {
    if (is) (isThin(at) ? narrow : covered).push(at);
  });
  const rules = mask(height, width);
  const step = (2 * STEEPEST) / (NUM_SLOPES - 1);
  for (let i = 0; i < NUM_SLOPES; i += 1) {
    const slope = i === NUM_SLOPES - 1 ? STEEPEST : i * step - STEEPEST;
    markLines(rules, slope, narrow, covered);
  }
  if (middleOf(linesByColumn(rules)) < 2) return mask(height, width);
  const found = rules.values.slice();
  // With the rims of the lines.
  rules.values.forEach((is, at) => {
    if (!is) return;
    for (const beside of [at - width, at + width])
      if (beside >= 0 && beside < found.length && isThin(beside)) found[beside] = 1;
  });
  return { height, width, values: found };
}

/** Mark what lies on lines of a slope that are long enough. */
function markLines(rules: Mask, slope: number, narrow: number[], covered: number[]): void {
  const { height, width } = rules;
  // Where a line through a pixel meets the middle column, plus the height.
  const met = (at: number): number =>
    roundEven(Math.floor(at / width) - slope * ((at % width) - width / 2)) + height;
  const [inked, hidden] = [new Int32Array(3 * height), new Int32Array(3 * height)];
  for (const at of narrow) inked[met(at)] += 1;
  for (const at of covered) hidden[met(at)] += 1;
  // A line leaves the picture, and is hidden where it meets thicker ink.
  const rise = Float64Array.from({ length: width }, (_, x) => slope * (x - width / 2)).sort();
  const below = new Int32Array(3 * height);
  let count = 0;
  for (let line = 0; line < 3 * height; line += 1) {
    while (count < width && rise[count] + height < line) count += 1;
    below[line] = count;
  }
  const isLong = Uint8Array.from(inked, (length, line) => {
    const inside = below[line] - (line >= height ? below[line - height] : 0);
    return length >= LENGTH * Math.max(inside - hidden[line], width / 4) ? 1 : 0;
  });
  for (const at of narrow) if (isLong[met(at)]) rules.values[at] = 1;
}

/** How many lines each column meets: pixels with no line just above. */
function linesByColumn({ height, width, values }: Mask): number[] {
  return Array.from({ length: width }, (_, column) => {
    let lines = 0;
    for (let row = 0; row < height; row += 1) {
      const above = values[((row + height - 1) % height) * width + column];
      if (values[row * width + column] && !above) lines += 1;
    }
    return lines;
  });
}

function middleOf(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
