/**
 * The arithmetic of one number: what is multiplied, added and compared to make it.
 *
 * Everything here is computed again from the layer below and the weights, one product at a
 * time, in double precision: what the page shows adds up because it was added up.
 */

import { poolingWinner, type Convolution } from "../network.ts";

/** One sum of a convolution: a patch of the input times a filter, plus the bias. */
export interface ConvolutionSum {
  /** Where it stands in the convolution's output. */
  row: number;
  column: number;
  filter: number;
  /** The patch's first row and column in the input; negative where it hangs over the edge. */
  top: number;
  left: number;
  /** `[channel][filterSize × filterSize]`, zeros beyond the edge. */
  inputs: Float64Array[];
  weights: Float64Array[];
  products: Float64Array[];
  /** `[filterSize × filterSize]`: whether that place of the patch lies in the input. */
  inside: boolean[];
  /** The sum of each channel's products. */
  subtotals: number[];
  bias: number;
  /** All subtotals and the bias. */
  sum: number;
}

const total = (numbers: ArrayLike<number>): number =>
  Array.prototype.reduce.call(
    numbers,
    (sum, number) => (sum as number) + (number as number),
    0,
  ) as number;

/** The sum of a convolution at one place of its output. */
export function convolutionSum(
  conv: Convolution,
  input: Float32Array,
  weights: Float32Array,
  biases: Float32Array,
  row: number,
  column: number,
  filter: number,
): ConvolutionSum {
  const { inputSize, inputChannels, filterSize, numFilters, stride, padding } = conv;
  const top = row * stride - padding;
  const left = column * stride - padding;
  const places = Array.from({ length: filterSize * filterSize }, (_, place) => {
    const [i, j] = [Math.floor(place / filterSize), place % filterSize];
    const [y, x] = [top + i, left + j];
    return { y, x, inside: y >= 0 && x >= 0 && y < inputSize && x < inputSize };
  });
  const channels = Array.from({ length: inputChannels }, (_, channel) => channel);
  const inputs = channels.map((channel) =>
    Float64Array.from(places, ({ y, x, inside }) =>
      inside ? input[(y * inputSize + x) * inputChannels + channel] : 0,
    ),
  );
  const filters = channels.map((channel) =>
    Float64Array.from(
      places,
      (_, place) => weights[(place * inputChannels + channel) * numFilters + filter],
    ),
  );
  const products = channels.map((channel) =>
    inputs[channel].map((value, place) => value * filters[channel][place]),
  );
  const subtotals = products.map(total);
  const bias = biases[filter];
  return {
    row,
    column,
    filter,
    top,
    left,
    inputs,
    weights: filters,
    products,
    inside: places.map(({ inside }) => inside),
    subtotals,
    bias,
    sum: total(subtotals) + bias,
  };
}

/** What pooling chooses from, and what it takes. */
export interface Pooled {
  /** Row and column of each number of the window (one number where there is no pooling). */
  window: { row: number; column: number; value: number }[];
  /** Which of them is the largest; of equal ones the first. */
  winner: number;
  /** After ReLU. */
  value: number;
}

/** Pooling and ReLU at one place of the layer's output. */
export function pooled(
  conv: Convolution,
  output: Float32Array,
  row: number,
  column: number,
  filter: number,
): Pooled {
  const { outputSize, numFilters } = conv;
  const offsets = conv.pooling
    ? [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
      ]
    : [[0, 0]];
  const step = conv.pooling ? 2 : 1;
  const window = offsets.map(([down, right]) => {
    const [y, x] = [step * row + down, step * column + right];
    return { row: y, column: x, value: output[(y * outputSize + x) * numFilters + filter] };
  });
  const place = Math.floor(poolingWinner(conv, output, row, column, filter) / numFilters);
  const winner = window.findIndex((one) => one.row * outputSize + one.column === place);
  return { window, winner, value: Math.max(window[winner].value, 0) };
}

/** One output of a fully connected layer: every input times its weight, plus the bias. */
export interface WeightedSum {
  /** `[inputs]` */
  products: Float32Array;
  /** The inputs whose products are largest in size, largest first. */
  largest: number[];
  /** The sum of the products that are not among the largest. */
  rest: number;
  bias: number;
  sum: number;
}

/** The weighted sum of a fully connected layer's unit; `weights` is `[inputs][numOutputs]`. */
export function weightedSum(
  input: Float32Array,
  weights: Float32Array,
  biases: Float32Array,
  unit: number,
  numLargest = 10,
): WeightedSum {
  const numOutputs = biases.length;
  const products = Float64Array.from(input, (value, i) => value * weights[i * numOutputs + unit]);
  const largest = Array.from(products.keys())
    .sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]))
    .slice(0, numLargest);
  const all = total(products);
  return {
    products: Float32Array.from(products),
    largest,
    rest: all - total(largest.map((i) => products[i])),
    bias: biases[unit],
    sum: all + biases[unit],
  };
}

/** Softmax, step by step: each logit less the largest, e to that power, and its share of the sum. */
export interface Softmax {
  differences: number[];
  powers: number[];
  total: number;
  shares: number[];
}

export function softmaxSteps(logits: Float32Array): Softmax {
  const largest = Math.max(...logits);
  const differences = Array.from(logits, (logit) => logit - largest);
  const powers = differences.map(Math.exp);
  const sum = total(powers);
  return { differences, powers, total: sum, shares: powers.map((power) => power / sum) };
}
