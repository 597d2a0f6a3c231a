/**
 * What the landing page knows before it has loaded anything: the book's network at five moments,
 * with what it made of ten examples (`moments.json`, which `tools/landing_moments.py` writes).
 */

import stored from "./moments.json";

/** One of the five moments. */
export interface Moment {
  /** How many batches it had learned from. */
  iterations: number;
  /** Test digits that it reads right, out of 100, rounded. */
  right: number;
  /** The weights of the first layer's filters, `[filter][row][column]`, each from -1 to 1. */
  filters: Float32Array[];
  /** For each of the ten examples its ten probabilities. */
  probabilities: number[][];
}

/** A weight is one character: a digit in this base; the middle one stands for 0. */
const LEVELS = 17;
const BASE = 2 * LEVELS + 1;
const FILTER_AREA = 25;

function filtersOf(letters: string): Float32Array[] {
  const weights = Float32Array.from(
    letters,
    (letter) => Number.parseInt(letter, BASE) / LEVELS - 1,
  );
  const count = weights.length / FILTER_AREA;
  return Array.from({ length: count }, (_, i) =>
    weights.subarray(i * FILTER_AREA, (i + 1) * FILTER_AREA),
  );
}

export const MOMENTS: readonly Moment[] = stored.map((moment) => ({
  ...moment,
  filters: filtersOf(moment.filters),
  // Written as whole thousandths; softmax gives neither 0 nor 1.
  probabilities: moment.probabilities.map((row) =>
    row.map((share) => Math.min(Math.max(share / 1000, 0.0004), 0.9996)),
  ),
}));
