/**
 * Why a network answers as it does, and how few pixels mislead it: four maps of what an answer
 * depends on, and the next pixel to change. `mnist_helpers/attribution.py` computes the same with
 * TensorFlow, and the chapter "Ask it why, then fool it" teaches it.
 */

import { derivatives, type Derivatives } from "./gradients.ts";
import {
  type Activations,
  type Architecture,
  type Convolution,
  type Weights,
  IMAGE_SIZE,
  NUM_CLASSES,
  WEIGHT_NAMES,
} from "./network.ts";

/** Rows and columns of the square that hides a piece, and the ink in it. */
export const OCCLUSION_SIZE = 7;
const GREY = 0.5;

/**
 * The image with a grey square centred on a pixel; at the rim, a part of the square lies outside.
 *
 * M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks" (2014),
 * section 4.2: the map is the probability of a digit, once for each place of the square.
 */
export function occluded(image: Float32Array, place: number): Float32Array {
  const reach = (OCCLUSION_SIZE - 1) / 2;
  const middle = [Math.floor(place / IMAGE_SIZE), place % IMAGE_SIZE];
  const [top, left] = middle.map((at) => Math.max(at - reach, 0));
  const [bottom, right] = middle.map((at) => Math.min(at + reach + 1, IMAGE_SIZE));
  const covered = image.slice();
  for (let row = top; row < bottom; row++) {
    covered.fill(GREY, row * IMAGE_SIZE + left, row * IMAGE_SIZE + right);
  }
  return covered;
}

/**
 * How a digit's logit changes with everything before it. For the pixels: K. Simonyan, A. Vedaldi
 * and A. Zisserman, "Deep Inside Convolutional Networks" (2013), section 3.
 *
 * Where sums that are pooled together are equal, as on blank paper, the slope belongs to the first
 * of them alone.
 */
export function logitSlopes(
  a: Architecture,
  w: Weights,
  x: Activations,
  digit: number,
): Derivatives {
  return derivatives(a, w, x, oneHot(digit));
}

/** The parts that a logit is the sum of. */
export interface Shares {
  /** For each pixel, its slope times its ink. */
  pixels: Float32Array;
  ink: number;
  /** All biases together, each times its slope. */
  biases: number;
}

/**
 * Shares out a logit between ink and biases: ReLU and pooling only choose, so for this one image
 * the network is linear.
 */
export function shares(w: Weights, x: Activations, slopes: Derivatives): Shares {
  const pixels = x.input.map((ink, at) => ink * slopes.numbers.input[at]);
  let biases = 0;
  for (const name of WEIGHT_NAMES) {
    if (name.endsWith("/biases"))
      w[name].forEach((b, i) => (biases += b * slopes.weights[name][i]));
  }
  return { pixels, ink: pixels.reduce((sum, share) => sum + share, 0), biases };
}

/**
 * Where the second layer found evidence for a digit, `[7][7]`: each picture is weighted by how fast
 * the logit grows with it, averaged over its places; sums below zero become zero.
 *
 * R. R. Selvaraju et al., "Grad-CAM" (2017), equations 1 and 2.
 */
export function gradCam(conv2: Convolution, x: Activations, slopes: Derivatives): Float32Array {
  const { numFilters, pooledSize } = conv2;
  const numPlaces = pooledSize ** 2;
  const means = new Float64Array(numFilters);
  slopes.numbers.pool2.forEach((slope, at) => (means[at % numFilters] += slope / numPlaces));
  return Float32Array.from({ length: numPlaces }, (_, place) => {
    const sum = means.reduce((so, mean, k) => so + mean * x.pool2[place * numFilters + k], 0);
    return Math.max(sum, 0);
  });
}

/** A pixel to be changed, and what it becomes: 1 for ink, 0 for paper. */
export interface PixelChange {
  place: number;
  value: number;
}

/** How far a digit's logit lies above the largest of the others. */
export function lead(logits: Float32Array, digit: number): number {
  return logits[digit] - logits[rivalOf(logits, digit)];
}

/**
 * The pixel from which a digit's lead has most to gain: slope times the room that is left, to full
 * ink where the slope is above 0, and to paper otherwise. No pixel is changed twice. The choice is
 * greedy, so fewer pixels might do.
 *
 * @param changed Places that were changed before.
 * @returns `null` where no single pixel has anything to gain, as in a network without filters.
 */
export function nextPixel(
  a: Architecture,
  w: Weights,
  x: Activations,
  digit: number,
  changed: readonly number[],
): PixelChange | null {
  const dLogits = oneHot(digit);
  dLogits[rivalOf(x.logits, digit)] = -1;
  const slopes = derivatives(a, w, x, dLogits).numbers.input;
  const gains = slopes.map((slope, at) => slope * (slope > 0 ? 1 - x.input[at] : -x.input[at]));
  for (const place of changed) gains[place] = 0;
  const most = Math.max(...gains);
  // Of equal gains, the first.
  const place = gains.indexOf(most);
  return most > 0 ? { place, value: slopes[place] > 0 ? 1 : 0 } : null;
}

/** The largest of the other logits. */
function rivalOf(logits: Float32Array, digit: number): number {
  const others = logits.map((logit, k) => (k === digit ? -Infinity : logit));
  return others.indexOf(Math.max(...others));
}

function oneHot(digit: number): Float32Array {
  return new Float32Array(NUM_CLASSES).fill(1, digit, digit + 1);
}
