/**
 * The network of the book, whole and plain: forward, backward and Adam.
 *
 * Nothing here needs anything but arithmetic, so that it can be read from top to bottom. The
 * page itself runs a faster version of the same arithmetic (`fast.ts`, with the kernels in
 * `assembly/kernels.ts`) wherever the browser can; this one is the fallback, and what the
 * fast one is tested against.
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

// ---------------------------------------------------------------------------------------
// What the network is made of
// ---------------------------------------------------------------------------------------

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

/** What each layer gives out for one image. */
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
  // TensorFlow's rule for "SAME": what one row or column more is needed goes below or right.
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
  // training within a second or two and the memory within some megabytes.
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

// ---------------------------------------------------------------------------------------
// Forward: from an image to ten probabilities
// ---------------------------------------------------------------------------------------

/** Arrays for what the layers give out, to be filled by {@link forwardInto}. */
export function newActivations(a: Architecture): Activations {
  const s = shapes(a);
  const array = (name: keyof Activations) => new Float32Array(size(s[name]));
  const pool2 = array("pool2");
  return {
    input: array("input"),
    conv1: array("conv1"),
    pool1: array("pool1"),
    conv2: array("conv2"),
    pool2,
    // Row-major order already is the flattened order.
    flat: pool2,
    fc1: array("fc1"),
    logits: array("logits"),
    probabilities: array("probabilities"),
  };
}

/** Runs one image (784 numbers from 0 to 1) through the network and keeps every number. */
export function forward(a: Architecture, w: Weights, image: Float32Array): Activations {
  const x = newActivations(a);
  forwardInto(a, w, image, x);
  return x;
}

/** The same, into arrays that are there already. */
export function forwardInto(a: Architecture, w: Weights, image: Float32Array, x: Activations) {
  const { conv1, conv2 } = convolutions(a);
  x.input.set(image);
  convolve(conv1, x.input, w["conv1/weights"], w["conv1/biases"], x.conv1);
  poolAndRelu(conv1, x.conv1, x.pool1);
  convolve(conv2, x.pool1, w["conv2/weights"], w["conv2/biases"], x.conv2);
  poolAndRelu(conv2, x.conv2, x.pool2);
  fullyConnected(x.flat, w["fc1/weights"], w["fc1/biases"], x.fc1);
  for (let i = 0; i < x.fc1.length; i++) x.fc1[i] = Math.max(x.fc1[i], 0);
  fullyConnected(x.fc1, w["fc2/weights"], w["fc2/biases"], x.logits);
  softmax(x.logits, x.probabilities);
}

/** Output (row, column) of each filter: products with the patch below it, summed, plus bias. */
function convolve(
  conv: Convolution,
  input: Float32Array,
  weights: Float32Array,
  biases: Float32Array,
  output: Float32Array,
): void {
  const { inputSize, inputChannels, filterSize, numFilters, stride, outputSize, padding } = conv;
  const sums = new Float64Array(numFilters);
  for (let row = 0; row < outputSize; row++) {
    for (let column = 0; column < outputSize; column++) {
      sums.set(biases);
      for (let i = 0; i < filterSize; i++) {
        const y = row * stride - padding + i;
        if (y < 0 || y >= inputSize) continue; // the zeros around the input add nothing
        for (let j = 0; j < filterSize; j++) {
          const x = column * stride - padding + j;
          if (x < 0 || x >= inputSize) continue;
          for (let channel = 0; channel < inputChannels; channel++) {
            const value = input[(y * inputSize + x) * inputChannels + channel];
            if (value === 0) continue;
            const first = ((i * filterSize + j) * inputChannels + channel) * numFilters;
            for (let f = 0; f < numFilters; f++) sums[f] += value * weights[first + f];
          }
        }
      }
      output.set(sums, (row * outputSize + column) * numFilters);
    }
  }
}

/**
 * Where in a convolution's output the number stands that pooling takes over: an index into
 * that output. Of equal numbers the first wins. Without pooling it is the same place.
 */
export function poolingWinner(
  conv: Convolution,
  output: Float32Array,
  row: number,
  column: number,
  filter: number,
): number {
  const { outputSize, numFilters } = conv;
  if (!conv.pooling) return (row * outputSize + column) * numFilters + filter;
  const first = (2 * row * outputSize + 2 * column) * numFilters + filter;
  const below = first + outputSize * numFilters;
  let winner = first;
  if (output[first + numFilters] > output[winner]) winner = first + numFilters;
  if (output[below] > output[winner]) winner = below;
  if (output[below + numFilters] > output[winner]) winner = below + numFilters;
  return winner;
}

/** 2×2 max-pooling (or none), then ReLU. */
function poolAndRelu(conv: Convolution, output: Float32Array, pooled: Float32Array): void {
  const { pooledSize, numFilters } = conv;
  let place = 0;
  for (let row = 0; row < pooledSize; row++) {
    for (let column = 0; column < pooledSize; column++) {
      for (let f = 0; f < numFilters; f++) {
        pooled[place++] = Math.max(output[poolingWinner(conv, output, row, column, f)], 0);
      }
    }
  }
}

/** `input @ weights + biases`. */
function fullyConnected(
  input: Float32Array,
  weights: Float32Array,
  biases: Float32Array,
  output: Float32Array,
): void {
  const numOutputs = output.length;
  const sums = Float64Array.from(biases);
  for (let i = 0; i < input.length; i++) {
    const value = input[i];
    if (value === 0) continue;
    for (let j = 0; j < numOutputs; j++) sums[j] += value * weights[i * numOutputs + j];
  }
  output.set(sums);
}

/** Turns logits into probabilities: `exp(logit)`, divided by the sum of all ten. */
export function softmax(logits: Float32Array, probabilities: Float32Array): void {
  // The largest is taken away first, which changes no quotient: exp() of it may overflow.
  const largest = Math.max(...logits);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  for (let k = 0; k < logits.length; k++) {
    probabilities[k] = Math.exp(logits[k] - largest) / sum;
  }
}

/** The loss of one image, `-log(probability of the label)`, in nats. */
export function crossEntropy(logits: Float32Array, label: number): number {
  const largest = Math.max(...logits);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return Math.log(sum) - (logits[label] - largest);
}

/** The network's guess: the class with the largest logit (or probability). */
export function guess(logits: Float32Array): number {
  return logits.indexOf(Math.max(...logits));
}

// ---------------------------------------------------------------------------------------
// Backward: how the loss would change with each weight
// ---------------------------------------------------------------------------------------

/** Arrays that {@link backward} works in, made once for all steps. */
export interface Scratch {
  logits: Float32Array;
  fc1: Float32Array;
  pool2: Float32Array;
  pool1: Float32Array;
}

export function newScratch(a: Architecture): Scratch {
  const { logits, fc1, pool2, pool1 } = newActivations(a);
  return { logits, fc1, pool2, pool1 };
}

/**
 * Adds the gradient of one image's loss to `gradients`, by the chain rule from the last layer
 * to the first.
 *
 * @param x What {@link forward} gave for the image.
 * @param scale What the image's loss counts: 1 / batch size for the mean over a batch.
 * @param d Scratch: the derivative of the loss by each layer's outputs.
 */
export function backward(
  a: Architecture,
  w: Weights,
  x: Activations,
  label: number,
  scale: number,
  gradients: Weights,
  d: Scratch,
): void {
  const { conv1, conv2 } = convolutions(a);
  // Softmax and cross-entropy together have a derivative as simple as this.
  for (let k = 0; k < NUM_CLASSES; k++) {
    d.logits[k] = (x.probabilities[k] - (k === label ? 1 : 0)) * scale;
  }
  fullyConnectedBackward(x.fc1, w["fc2/weights"], d.logits, d.fc1, gradients, "fc2");
  fullyConnectedBackward(x.flat, w["fc1/weights"], d.fc1, d.pool2, gradients, "fc1");
  d.pool1.fill(0);
  convolveBackward(
    conv2,
    x.pool1,
    x.conv2,
    w["conv2/weights"],
    d.pool2,
    d.pool1,
    gradients["conv2/weights"],
    gradients["conv2/biases"],
  );
  for (let i = 0; i < d.pool1.length; i++) if (x.pool1[i] === 0) d.pool1[i] = 0; // ReLU
  convolveBackward(
    conv1,
    x.input,
    x.conv1,
    w["conv1/weights"],
    d.pool1,
    null,
    gradients["conv1/weights"],
    gradients["conv1/biases"],
  );
}

/**
 * Back through a fully connected layer, and through the ReLU that made its input: where the
 * input is 0, ReLU lets no gradient through, and the weights there have none either.
 */
function fullyConnectedBackward(
  input: Float32Array,
  weights: Float32Array,
  dOutput: Float32Array,
  dInput: Float32Array,
  gradients: Weights,
  layer: "fc1" | "fc2",
): void {
  const gradient = gradients[`${layer}/weights`];
  const biases = gradients[`${layer}/biases`];
  const numOutputs = dOutput.length;
  for (let j = 0; j < numOutputs; j++) biases[j] += dOutput[j];
  for (let i = 0; i < input.length; i++) {
    const value = input[i];
    let sum = 0;
    if (value > 0) {
      for (let j = 0; j < numOutputs; j++) {
        const place = i * numOutputs + j;
        gradient[place] += value * dOutput[j];
        sum += weights[place] * dOutput[j];
      }
    }
    dInput[i] = sum;
  }
}

/**
 * Back through pooling and convolution. Of each 2×2 window only the winner had a say, so only
 * the patch below the winner gets a gradient: three quarters of the work fall away.
 *
 * @param dPooled Derivative by what came out after ReLU; already 0 where ReLU gave 0.
 * @param dInput Derivative by the input, added to; null where nobody wants it.
 */
function convolveBackward(
  conv: Convolution,
  input: Float32Array,
  output: Float32Array,
  weights: Float32Array,
  dPooled: Float32Array,
  dInput: Float32Array | null,
  gradient: Float32Array,
  biases: Float32Array,
): void {
  const { inputSize, inputChannels, filterSize, numFilters, stride, outputSize, padding } = conv;
  let place = 0;
  for (let row = 0; row < conv.pooledSize; row++) {
    for (let column = 0; column < conv.pooledSize; column++) {
      for (let f = 0; f < numFilters; f++) {
        const d = dPooled[place++];
        if (d === 0) continue;
        biases[f] += d;
        const winner = Math.floor(poolingWinner(conv, output, row, column, f) / numFilters);
        const top = Math.floor(winner / outputSize) * stride - padding;
        const left = (winner % outputSize) * stride - padding;
        for (let i = 0; i < filterSize; i++) {
          const y = top + i;
          if (y < 0 || y >= inputSize) continue;
          for (let j = 0; j < filterSize; j++) {
            const x = left + j;
            if (x < 0 || x >= inputSize) continue;
            for (let channel = 0; channel < inputChannels; channel++) {
              const from = (y * inputSize + x) * inputChannels + channel;
              const weight = ((i * filterSize + j) * inputChannels + channel) * numFilters + f;
              gradient[weight] += d * input[from];
              if (dInput !== null) dInput[from] += d * weights[weight];
            }
          }
        }
      }
    }
  }
}

// ---------------------------------------------------------------------------------------
// Adam: one step down
// ---------------------------------------------------------------------------------------

// D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization" (2015), in the form
// that TensorFlow computes; epsilon as Keras has it.
export const BETA1 = 0.9;
export const BETA2 = 0.999;
export const EPSILON = 1e-7;

/** How far Adam's step number `step` (from 1) goes, before `m / (√v + ε)`. */
export function adamRate(learningRate: number, step: number): number {
  return (learningRate * Math.sqrt(1 - BETA2 ** step)) / (1 - BETA1 ** step);
}

/** What Adam remembers from step to step: running means of each gradient and of its square. */
export interface AdamState {
  step: number;
  means: Weights;
  squares: Weights;
}

export function newAdamState(a: Architecture): AdamState {
  return { step: 0, means: zeroWeights(a), squares: zeroWeights(a) };
}

/** Changes the weights by one step of Adam. */
export function adamStep(
  w: Weights,
  gradients: Weights,
  state: AdamState,
  learningRate: number,
): void {
  state.step += 1;
  const rate = adamRate(learningRate, state.step);
  for (const name of WEIGHT_NAMES) {
    const weights = w[name];
    const gradient = gradients[name];
    const mean = state.means[name];
    const square = state.squares[name];
    for (let i = 0; i < weights.length; i++) {
      mean[i] += (1 - BETA1) * (gradient[i] - mean[i]);
      square[i] += (1 - BETA2) * (gradient[i] ** 2 - square[i]);
      weights[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) + EPSILON);
    }
  }
}

// ---------------------------------------------------------------------------------------
// Training: forward, backward and Adam for one batch after another
// ---------------------------------------------------------------------------------------

export interface TrainingOptions {
  architecture: Architecture;
  weights: Weights; // to begin with; copied
  learningRate: number;
  batchSize: number;
}

/** Images `[n][784]`, 0 to 1, and their labels `[n]`. */
export interface Batch {
  images: Float32Array;
  labels: Uint8Array;
}

/** How a batch, or a set of images, was judged. */
export interface Judgement {
  /** Mean cross-entropy, in nats. */
  loss: number;
  /** Share of right guesses, 0 to 1. */
  accuracy: number;
}

/** A network in training; the plain and the fast one look the same from outside. */
export interface Training {
  /** Takes one step; `batch` holds `batchSize` images. Judges it as it was before the step. */
  step(batch: Batch): Judgement;
  /** Judges any number of images with the weights as they are. */
  evaluate(batch: Batch): Judgement;
  /** A copy of the weights. */
  weights(): Weights;
}

export class PlainTraining implements Training {
  readonly #architecture: Architecture;
  readonly #learningRate: number;
  readonly #weights: Weights;
  readonly #gradients: Weights;
  readonly #adam: AdamState;
  readonly #activations: Activations;
  readonly #scratch: Scratch;

  constructor({ architecture, weights, learningRate }: TrainingOptions) {
    checkArchitecture(architecture);
    this.#architecture = architecture;
    this.#learningRate = learningRate;
    this.#weights = copyWeights(weights);
    this.#gradients = zeroWeights(architecture);
    this.#adam = newAdamState(architecture);
    this.#activations = newActivations(architecture);
    this.#scratch = newScratch(architecture);
  }

  step(batch: Batch): Judgement {
    const scale = 1 / batch.labels.length;
    for (const name of WEIGHT_NAMES) this.#gradients[name].fill(0);
    const judgement = this.#judge(batch, (label) => {
      backward(
        this.#architecture,
        this.#weights,
        this.#activations,
        label,
        scale,
        this.#gradients,
        this.#scratch,
      );
    });
    adamStep(this.#weights, this.#gradients, this.#adam, this.#learningRate);
    return judgement;
  }

  evaluate(batch: Batch): Judgement {
    return this.#judge(batch, () => {});
  }

  weights(): Weights {
    return copyWeights(this.#weights);
  }

  #judge({ images, labels }: Batch, afterEach: (label: number) => void): Judgement {
    const x = this.#activations;
    let loss = 0;
    let correct = 0;
    labels.forEach((label, n) => {
      const image = images.subarray(n * IMAGE_SIZE_FLAT, (n + 1) * IMAGE_SIZE_FLAT);
      forwardInto(this.#architecture, this.#weights, image, x);
      loss += crossEntropy(x.logits, label);
      if (guess(x.logits) === label) correct += 1;
      afterEach(label);
    });
    return { loss: loss / labels.length, accuracy: correct / labels.length };
  }
}
