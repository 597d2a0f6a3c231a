/**
 * The network of the book, whole and plain: forward and backward.
 *
 * Nothing here needs anything but arithmetic, so that it can be read from top to bottom. What the
 * network is made of is in `shapes.ts`, training in `training.ts`. The page itself runs a faster
 * version of the same arithmetic (`fast.ts`, with the kernels in `assembly/kernels.ts`) wherever
 * the browser can; this one is the fallback, and what the fast one is tested against.
 */

import {
  type Activations,
  type Architecture,
  type Convolution,
  type Weights,
  convolutions,
  NUM_CLASSES,
  shapes,
  size,
} from "./shapes.ts";

export * from "./shapes.ts";

// ---------------------------------------------------------------------------------------
// Forward: from an image to ten probabilities
// ---------------------------------------------------------------------------------------

/** Arrays for what the layers output, to be filled by {@link forwardInto}. */
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
 * Where in a convolution's output the number stands that pooling keeps: an index into
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
  // The largest is subtracted first, which changes no quotient: exp() of it might overflow.
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
 * @param scale What the image's loss counts for: 1 / batch size for the mean over a batch.
 * @param d Scratch: the derivative of the loss with respect to each layer's outputs.
 * @param labelSmoothing Share of certainty, 0 to 1, that the loss spreads over all classes.
 */
export function backward(
  a: Architecture,
  w: Weights,
  x: Activations,
  label: number,
  scale: number,
  gradients: Weights,
  d: Scratch,
  { labelSmoothing = 0 } = {},
): void {
  lossBackward(x.probabilities, label, scale, labelSmoothing, d.logits);
  logitsBackward(a, w, x, gradients, d);
}

/**
 * The same for any other score of the logits: adds its gradient to `gradients`, given in
 * `d.logits` how it changes with each of them.
 */
export function logitsBackward(
  a: Architecture,
  w: Weights,
  x: Activations,
  gradients: Weights,
  d: Scratch,
): void {
  const { conv1, conv2 } = convolutions(a);
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
 * Softmax and cross-entropy together have a simple derivative: the probability, less what it
 * should be, which is 1 for the label and 0 for the others.
 *
 * @param d Filled: the derivative with respect to each logit.
 */
export function lossBackward(
  probabilities: Float32Array,
  label: number,
  scale: number,
  labelSmoothing: number,
  d: Float32Array,
): void {
  let others = 0;
  for (let k = 0; k < NUM_CLASSES; k++) {
    if (k === label) continue;
    others += probabilities[k];
    d[k] = (probabilities[k] - labelSmoothing / NUM_CLASSES) * scale;
  }
  // The label's probability less 1, from the others' sum: beside a 1, that would be lost.
  d[label] = (labelSmoothing * (1 - 1 / NUM_CLASSES) - others) * scale;
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
 * @param dPooled Derivative with respect to what came out after ReLU; already 0 where ReLU gave 0.
 * @param dInput Derivative with respect to the input, added to; null where nobody wants it.
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
