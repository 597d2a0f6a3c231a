/**
 * The way back through the network, for one image: how the loss, or any other score of the logits,
 * would change with every weight and with every number of every layer, and which terms each of
 * these derivatives is the sum of.
 *
 * Training needs less of this (`backward` in `network.ts`): it skips what ReLU did not let through.
 */

import {
  type Activations,
  type Architecture,
  type Convolution,
  type Weights,
  convolutions,
  crossEntropy,
  logitsBackward,
  lossBackward,
  newScratch,
  NUM_CLASSES,
  poolingWinner,
  zeroWeights,
} from "./network.ts";

/** How a score of the logits changes with each number. */
export interface Derivatives {
  /** Of each weight and bias. */
  weights: Weights;
  /** Of each layer's output, in the layers' own shapes; `flat` is `pool2`. */
  numbers: Omit<Activations, "probabilities">;
}

/** How the loss of one image changes with each number. */
export interface WayBack extends Derivatives {
  /** Cross-entropy, in nats. */
  loss: number;
  numbers: Activations;
}

/** Computes all derivatives of the loss, given what {@link forward} gave. */
export function wayBack(a: Architecture, w: Weights, x: Activations, label: number): WayBack {
  const logits = new Float32Array(NUM_CLASSES);
  lossBackward(x.probabilities, label, 1, 0, logits);
  const { weights, numbers } = derivatives(a, w, x, logits);
  const probabilities = x.probabilities.map((p, k) => (k === label ? -1 / p : 0));
  return { loss: crossEntropy(x.logits, label), weights, numbers: { ...numbers, probabilities } };
}

/**
 * Computes all derivatives of a score of the logits.
 *
 * @param dLogits How the score changes with each logit: 1 for a logit that is the score itself,
 *   1 and −1 for the lead of one over another.
 */
export function derivatives(
  a: Architecture,
  w: Weights,
  x: Activations,
  dLogits: ArrayLike<number>,
): Derivatives {
  const weights = zeroWeights(a);
  const d = newScratch(a);
  d.logits.set(dLogits);
  logitsBackward(a, w, x, weights, d);
  const { conv1, conv2 } = convolutions(a);
  const fc1 = times(w["fc2/weights"], d.logits, x.fc1.length);
  const pool2 = times(w["fc1/weights"], d.fc1, x.flat.length);
  const dConv2 = toWinners(conv2, x.conv2, d.pool2);
  const pool1 = toInput(conv2, dConv2, w["conv2/weights"]);
  const dConv1 = toWinners(conv1, x.conv1, d.pool1);
  const numbers = {
    input: toInput(conv1, dConv1, w["conv1/weights"]),
    conv1: dConv1,
    pool1,
    conv2: dConv2,
    pool2,
    flat: pool2,
    fc1,
    logits: d.logits,
  };
  return { weights, numbers };
}

/** `weights @ d`: a layer's derivatives, carried from its output back to its input. */
function times(weights: Float32Array, d: Float32Array, numInputs: number): Float32Array {
  const result = new Float32Array(numInputs);
  for (let i = 0; i < numInputs; i++) {
    let sum = 0;
    for (let j = 0; j < d.length; j++) sum += weights[i * d.length + j] * d[j];
    result[i] = sum;
  }
  return result;
}

/** From pooled numbers back to the sums: only those that pooling took have a derivative. */
function toWinners(conv: Convolution, sums: Float32Array, dPooled: Float32Array): Float32Array {
  const result = new Float32Array(sums.length);
  let place = 0;
  for (let row = 0; row < conv.pooledSize; row++) {
    for (let column = 0; column < conv.pooledSize; column++) {
      for (let f = 0; f < conv.numFilters; f++) {
        result[poolingWinner(conv, sums, row, column, f)] = dPooled[place++];
      }
    }
  }
  return result;
}

/** From a convolution's sums back to its input. */
function toInput(conv: Convolution, d: Float32Array, weights: Float32Array): Float32Array {
  const { inputSize, inputChannels, numFilters } = conv;
  const sums = new Float64Array(inputSize ** 2 * inputChannels);
  forEachPlace(conv, (output, input, tap) => {
    for (let f = 0; f < numFilters; f++) {
      const value = d[output + f];
      if (value === 0) continue;
      for (let c = 0; c < inputChannels; c++) {
        sums[input + c] += value * weights[(tap * inputChannels + c) * numFilters + f];
      }
    }
  });
  return Float32Array.from(sums);
}

/** Goes over all products of a convolution: indices of its output, input and filter's place. */
function forEachPlace(
  conv: Convolution,
  action: (output: number, input: number, tap: number) => void,
): void {
  const { inputSize, inputChannels, filterSize, numFilters, stride, outputSize, padding } = conv;
  for (let row = 0; row < outputSize; row++) {
    for (let column = 0; column < outputSize; column++) {
      for (let tap = 0; tap < filterSize ** 2; tap++) {
        const y = row * stride - padding + Math.floor(tap / filterSize);
        const x = column * stride - padding + (tap % filterSize);
        if (y < 0 || y >= inputSize || x < 0 || x >= inputSize) continue;
        action((row * outputSize + column) * numFilters, (y * inputSize + x) * inputChannels, tap);
      }
    }
  }
}

// --- The terms that a derivative is the sum of ---------------------------------------------

/** One product of a derivative's sum. */
export interface Term {
  /** The number of a layer that the loss depends on, with its derivative. */
  layer: keyof Activations;
  index: number;
  derivative: number;
  /** What it is multiplied by: a weight, or for a weight's own derivative what went into it. */
  factor: number;
  /** Derivative times factor. */
  product: number;
}

const term = (
  layer: keyof Activations,
  index: number,
  derivative: number,
  factor: number,
): Term => ({ layer, index, derivative, factor, product: derivative * factor });

/** The products that add up to the derivative of a weight or bias, zeros left out. */
export function termsOfWeight(
  a: Architecture,
  x: Activations,
  back: WayBack,
  name: keyof Weights,
  index: number,
): Term[] {
  const [layer, kind] = name.split("/") as ["conv1" | "conv2" | "fc1" | "fc2", string];
  const isBias = kind === "biases";
  const found: Term[] = [];
  if (layer === "conv1" || layer === "conv2") {
    const conv = convolutions(a)[layer];
    const { numFilters, inputChannels } = conv;
    const d = back.numbers[layer];
    const filter = index % numFilters;
    if (isBias) {
      for (let at = filter; at < d.length; at += numFilters) {
        if (d[at] !== 0) found.push(term(layer, at, d[at], 1));
      }
      return found;
    }
    const channel = Math.floor(index / numFilters) % inputChannels;
    const own = Math.floor(index / numFilters / inputChannels);
    const input = layer === "conv1" ? x.input : x.pool1;
    forEachPlace(conv, (output, from, tap) => {
      const [derivative, value] = [d[output + filter], input[from + channel]];
      if (tap !== own || derivative === 0 || value === 0) return;
      found.push(term(layer, output + filter, derivative, value));
    });
    return found;
  }
  const [output, input] = layer === "fc1" ? [x.fc1, x.flat] : [x.logits, x.fc1];
  const to = index % output.length;
  const factor = isBias ? 1 : input[Math.floor(index / output.length)];
  // The unit's own derivative passes ReLU only where the unit gave something.
  const passes = layer === "fc2" || x.fc1[to] > 0;
  const target = layer === "fc1" ? "fc1" : "logits";
  if (passes && factor !== 0) found.push(term(target, to, back.numbers[target][to], factor));
  return found;
}

/** The products that add up to the derivative of a number of a layer, zeros left out. */
export function termsOfNumber(
  a: Architecture,
  w: Weights,
  x: Activations,
  back: WayBack,
  layer: keyof Activations,
  index: number,
): Term[] {
  const { conv1, conv2 } = convolutions(a);
  const { numbers } = back;
  switch (layer) {
    case "input":
      return through(conv1, "conv1", numbers.conv1, w["conv1/weights"], index);
    case "pool1":
      return through(conv2, "conv2", numbers.conv2, w["conv2/weights"], index);
    case "conv1":
      return pooledFrom(conv1, x.conv1, x.pool1, numbers.pool1, "pool1", index);
    case "conv2":
      return pooledFrom(conv2, x.conv2, x.pool2, numbers.pool2, "pool2", index);
    case "pool2":
    case "flat":
      return Array.from(numbers.fc1, (d, to) => [d, to] as const)
        .filter(([d, to]) => x.fc1[to] > 0 && d !== 0)
        .map(([d, to]) => term("fc1", to, d, w["fc1/weights"][index * a.fcSize + to]));
    case "fc1":
      return Array.from(numbers.logits, (d, to) =>
        term("logits", to, d, w["fc2/weights"][index * NUM_CLASSES + to]),
      );
    default:
      // A logit's derivative is not a sum: the probability, less 1 for the right digit.
      return [];
  }
}

/** Through a convolution: from each sum that looked at a number. */
function through(
  conv: Convolution,
  layer: "conv1" | "conv2",
  d: Float32Array,
  weights: Float32Array,
  index: number,
): Term[] {
  const { inputChannels, numFilters } = conv;
  const channel = index % inputChannels;
  const found: Term[] = [];
  forEachPlace(conv, (output, input, tap) => {
    if (input + channel !== index) return;
    for (let f = 0; f < numFilters; f++) {
      if (d[output + f] === 0) continue;
      const weight = weights[(tap * inputChannels + channel) * numFilters + f];
      found.push(term(layer, output + f, d[output + f], weight));
    }
  });
  return found;
}

/** Through pooling and ReLU: from the one number that a sum became, if it did. */
function pooledFrom(
  conv: Convolution,
  sums: Float32Array,
  pooled: Float32Array,
  d: Float32Array,
  layer: "pool1" | "pool2",
  index: number,
): Term[] {
  const { outputSize, numFilters, pooledSize } = conv;
  const step = conv.pooling ? 2 : 1;
  const filter = index % numFilters;
  const place = Math.floor(index / numFilters);
  const row = Math.floor(Math.floor(place / outputSize) / step);
  const column = Math.floor((place % outputSize) / step);
  const to = (row * pooledSize + column) * numFilters + filter;
  const taken = poolingWinner(conv, sums, row, column, filter) === index && pooled[to] > 0;
  return taken ? [term(layer, to, d[to], 1)] : [];
}
