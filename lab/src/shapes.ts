/**
 * What the network is made of: its choices, its weights, and the shape of every array.
 *
 * Every array is flat and row-major, in TensorFlow's order: images and layer outputs are
 * `[row][column][channel]`, filters `[row][column][input channel][output channel]`, the
 * weights of a fully connected layer `[input][output]`.
 */

import { LabError } from "./errors.ts";
import { fillTruncatedNormal, randomNumbers } from "./random.ts";

export const IMAGE_SIZE = 28;
export const IMAGE_SIZE_FLAT = IMAGE_SIZE * IMAGE_SIZE;
export const NUM_CLASSES = 10;

/** The choices that make a network. */
export interface Architecture {
  /** Height and width of every filter, in pixels; odd, so that it has a middle. */
  filterSize: number;
  /** Filters of the first and of the second convolution; multiples of 4. */
  numFilters1: number;
  numFilters2: number;
  /** Units of the first fully connected layer; a multiple of 4. */
  fcSize: number;
  /**
   * With pooling, as in the book, a convolution moves by one pixel and 2×2 max-pooling halves
   * its output. Without, the convolution itself moves by two pixels: every layer has the same
   * size as with pooling, so that the two can be compared (J. T. Springenberg and others,
   * "Striving for Simplicity: The All Convolutional Net", 2015).
   */
  pooling: boolean;
}

/** The network that the chapters build. */
export const BOOK: Architecture = {
  filterSize: 5,
  numFilters1: 16,
  numFilters2: 36,
  fcSize: 128,
  pooling: true,
};

/** All that the network learns. */
export interface Weights {
  "conv1/weights": Float32Array; // [filterSize][filterSize][1][numFilters1]
  "conv1/biases": Float32Array; // [numFilters1]
  "conv2/weights": Float32Array; // [filterSize][filterSize][numFilters1][numFilters2]
  "conv2/biases": Float32Array; // [numFilters2]
  "fc1/weights": Float32Array; // [7·7·numFilters2][fcSize]
  "fc1/biases": Float32Array; // [fcSize]
  "fc2/weights": Float32Array; // [fcSize][10]
  "fc2/biases": Float32Array; // [10]
}

/** The order in which the weights lie in a checkpoint's file. */
export const WEIGHT_NAMES = [
  "conv1/weights",
  "conv1/biases",
  "conv2/weights",
  "conv2/biases",
  "fc1/weights",
  "fc1/biases",
  "fc2/weights",
  "fc2/biases",
] as const satisfies readonly (keyof Weights)[];

/** What each layer outputs for one image. */
export interface Activations {
  input: Float32Array; // [28][28]
  /** The first convolution's sums, bias included: before pooling and ReLU. */
  conv1: Float32Array; // [28][28][numFilters1]; without pooling [14][14][numFilters1]
  /** After max-pooling and ReLU: the book's `layer_conv1`. */
  pool1: Float32Array; // [14][14][numFilters1]
  conv2: Float32Array; // [14][14][numFilters2]; without pooling [7][7][numFilters2]
  /** The book's `layer_conv2`. */
  pool2: Float32Array; // [7][7][numFilters2]
  /** The same numbers as `pool2`, read as one row: the book's `layer_flat`. */
  flat: Float32Array; // [7·7·numFilters2]
  /** The first fully connected layer, after ReLU: the book's `layer_fc1`. */
  fc1: Float32Array; // [fcSize]
  logits: Float32Array; // [10]
  probabilities: Float32Array; // [10]
}

/** How a convolution goes over its input; zeros stand around the input (padding "SAME"). */
export interface Convolution {
  inputSize: number;
  inputChannels: number;
  filterSize: number;
  numFilters: number;
  /** How far it moves from one output to the next: 1 with pooling, 2 without. */
  stride: number;
  outputSize: number;
  /**
   * Rows of zeros above the input and columns left of it: output (row, column) looks at the
   * input from (row · stride - padding, column · stride - padding) on.
   */
  padding: number;
  /** Whether 2×2 max-pooling follows. */
  pooling: boolean;
  /** Height and width after pooling. */
  pooledSize: number;
}

function convolution(
  a: Architecture,
  inputSize: number,
  inputChannels: number,
  numFilters: number,
): Convolution {
  const stride = a.pooling ? 1 : 2;
  const outputSize = inputSize / stride;
  // TensorFlow's rule for "SAME": where one more row or column is needed, it goes below or right.
  const zeros = Math.max((outputSize - 1) * stride + a.filterSize - inputSize, 0);
  return {
    inputSize,
    inputChannels,
    filterSize: a.filterSize,
    numFilters,
    stride,
    outputSize,
    padding: Math.floor(zeros / 2),
    pooling: a.pooling,
    pooledSize: inputSize / 2,
  };
}

/** The two convolutions of a network. */
export function convolutions(a: Architecture): { conv1: Convolution; conv2: Convolution } {
  return {
    conv1: convolution(a, IMAGE_SIZE, 1, a.numFilters1),
    conv2: convolution(a, IMAGE_SIZE / 2, a.numFilters1, a.numFilters2),
  };
}

export type Shapes = Record<keyof Weights | keyof Activations, readonly number[]>;

/** The shape of every array of weights and of layer outputs. */
export function shapes(a: Architecture): Shapes {
  const { conv1, conv2 } = convolutions(a);
  const numFeatures = conv2.pooledSize ** 2 * a.numFilters2;
  return {
    "conv1/weights": [a.filterSize, a.filterSize, 1, a.numFilters1],
    "conv1/biases": [a.numFilters1],
    "conv2/weights": [a.filterSize, a.filterSize, a.numFilters1, a.numFilters2],
    "conv2/biases": [a.numFilters2],
    "fc1/weights": [numFeatures, a.fcSize],
    "fc1/biases": [a.fcSize],
    "fc2/weights": [a.fcSize, NUM_CLASSES],
    "fc2/biases": [NUM_CLASSES],
    input: [IMAGE_SIZE, IMAGE_SIZE],
    conv1: [conv1.outputSize, conv1.outputSize, a.numFilters1],
    pool1: [conv1.pooledSize, conv1.pooledSize, a.numFilters1],
    conv2: [conv2.outputSize, conv2.outputSize, a.numFilters2],
    pool2: [conv2.pooledSize, conv2.pooledSize, a.numFilters2],
    flat: [numFeatures],
    fc1: [a.fcSize],
    logits: [NUM_CLASSES],
    probabilities: [NUM_CLASSES],
  };
}

/** How many numbers an array of this shape holds. */
export function size(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** How many numbers the network learns: 242,062 in the book's. */
export function numParameters(a: Architecture): number {
  const s = shapes(a);
  return WEIGHT_NAMES.reduce((sum, name) => sum + size(s[name]), 0);
}

/**
 * Refuses a network that cannot be built.
 *
 * @throws {LabError} "invalid", with a message that names the choice and what it may be.
 */
export function checkArchitecture(a: Architecture): void {
  // Four numbers are worked on at once, hence the multiples; the limits keep a step of
  // training within a second or two and the memory within a few megabytes.
  const rules: [keyof Architecture, number, number, number][] = [
    ["filterSize", 1, 9, 2],
    ["numFilters1", 4, 64, 4],
    ["numFilters2", 4, 64, 4],
    ["fcSize", 4, 512, 4],
  ];
  for (const [name, least, most, step] of rules) {
    const value = a[name] as number;
    if (!(value >= least && value <= most && (value - least) % step === 0)) {
      throw new LabError(
        "invalid",
        `${name} is ${value}: it must be one of ${least}, ${least + step}, … ${most}.`,
      );
    }
  }
}

/** An array of zeros for each of the weights. */
export function zeroWeights(a: Architecture): Weights {
  const s = shapes(a);
  const arrays = WEIGHT_NAMES.map((name) => [name, new Float32Array(size(s[name]))]);
  return Object.fromEntries(arrays) as unknown as Weights;
}

/** A copy, to change without changing the original. */
export function copyWeights(w: Weights): Weights {
  const arrays = WEIGHT_NAMES.map((name) => [name, w[name].slice()]);
  return Object.fromEntries(arrays) as unknown as Weights;
}

/**
 * Weights to begin training with, as in the book: truncated normal with standard deviation
 * 0.05, biases 0.05. The same seed gives the same weights in every browser.
 */
export function initialWeights(a: Architecture, seed: number): Weights {
  const w = zeroWeights(a);
  WEIGHT_NAMES.forEach((name, stream) => {
    if (name.endsWith("/biases")) w[name].fill(0.05);
    else fillTruncatedNormal(w[name], 0.05, randomNumbers(seed, stream));
  });
  return w;
}

/**
 * Weights that make no layer's numbers larger or smaller: truncated normal with standard deviation
 * √(2 / inputs), the two because ReLU takes half away (K. He and others, "Delving Deep into
 * Rectifiers", 2015, equation 10); biases 0. The race's recipes begin with them.
 */
export function heWeights(a: Architecture, seed: number): Weights {
  const w = zeroWeights(a);
  const s = shapes(a);
  WEIGHT_NAMES.forEach((name, stream) => {
    if (name.endsWith("/biases")) return;
    const deviation = Math.sqrt(2 / size(s[name].slice(0, -1)));
    fillTruncatedNormal(w[name], deviation, randomNumbers(seed, stream));
  });
  return w;
}

/** The weights that training begins with: the book's, unless K. He's are asked for. */
export function startWeights(a: Architecture, seed: number, start?: "book" | "he"): Weights {
  return start === "he" ? heWeights(a, seed) : initialWeights(a, seed);
}
