/**
 * The way back along the wires: how much of the loss's derivative each hands to the layer below,
 * and how much the chosen number is handed from above.
 */

import { termsOfNumber, type WayBack } from "../gradients.ts";
import type { Convolution } from "../network.ts";
import type { Cell } from "./cells.ts";
import { anchorOf, convolutionOf, madeOf, type Path, type Wire } from "./path.ts";
import type { State } from "./state.ts";

/** How many wires are shown from above. */
const MOST = 16;

/** A number's way with the derivatives in place of what goes forward. */
export function gradientPath(state: State, cell: Cell, path: Path, back: WayBack): Path {
  return {
    ...path,
    back: backWires(state, cell, path.back, back),
    forward: forwardWires(state, cell, back),
    onward: [],
    parts: null,
  };
}

/** From above: the terms of the number's derivative, those of one picture added up. */
function forwardWires(state: State, cell: Cell, back: WayBack): Wire[] {
  const { architecture: a, weights: w, activations: x } = state;
  const conv = convolutionOf(cell.layer);
  const isSum = cell.layer === "conv1" || cell.layer === "conv2";
  // A sum stands in the same place as the number that it becomes: it shares that one's wires.
  const own: Cell =
    isSum && conv ? { layer: `pool${conv}`, index: pooledIndex(state, cell) } : cell;
  const groups = new Map<number, { value: number; cell: Cell; most: number }>();
  for (const { layer, index, product } of termsOfNumber(a, w, x, back, own.layer, own.index)) {
    const picture = convolutionOf(layer);
    const key = picture ? index % state[`conv${picture}`].numFilters : index;
    const group = groups.get(key) ?? { value: 0, cell: { layer, index }, most: 0 };
    group.value += product;
    if (Math.abs(product) > group.most) {
      group.most = Math.abs(product);
      group.cell = { layer, index };
    }
    groups.set(key, group);
  }
  return [...groups.values()]
    .sort((one, other) => Math.abs(other.value) - Math.abs(one.value))
    .slice(0, MOST)
    .map(({ value, cell: to }) => ({
      from: anchorOf(state, cell),
      to: anchorOf(state, to),
      value,
      cell: to,
    }));
}

function pooledIndex(state: State, { layer, index }: Cell): number {
  const conv = state[layer as "conv1" | "conv2"];
  const step = conv.pooling ? 2 : 1;
  const place = Math.floor(index / conv.numFilters);
  const row = Math.floor(place / conv.outputSize / step);
  const column = Math.floor((place % conv.outputSize) / step);
  return (row * conv.pooledSize + column) * conv.numFilters + (index % conv.numFilters);
}

/** Downwards: the number's derivative times the weights of each wire, added up. */
function backWires(state: State, cell: Cell, wires: Wire[], { numbers }: WayBack): Wire[] {
  const { weights, activations } = state;
  const layer = convolutionOf(cell.layer);
  if (layer) {
    const { sum } = madeOf(state, cell);
    const conv = state[`conv${layer}`];
    const at = (sum.row * conv.outputSize + sum.column) * conv.numFilters + sum.filter;
    const derivative = numbers[`conv${layer}`][at];
    const all = weights[`conv${layer}/weights`];
    return wires.map((wire) => ({
      ...wire,
      value: derivative * filterSum(conv, all, wire.channel!, sum.filter),
    }));
  }
  if (cell.layer === "fc1") {
    const derivative = activations.fc1[cell.index] > 0 ? numbers.fc1[cell.index] : 0;
    const { numFilters } = state.conv2;
    const sums = new Float64Array(numFilters);
    activations.flat.forEach((_, i) => {
      sums[i % numFilters] +=
        derivative * weights["fc1/weights"][i * activations.fc1.length + cell.index];
    });
    return wires.map((wire) => ({ ...wire, value: sums[wire.channel!] }));
  }
  if (cell.layer !== "logits" && cell.layer !== "probabilities") return wires;
  return wires.map((wire) => ({
    ...wire,
    value: numbers.logits[cell.index] * weights["fc2/weights"][wire.cell.index * 10 + cell.index],
  }));
}

function filterSum(
  { filterSize, inputChannels, numFilters }: Convolution,
  weights: Float32Array,
  channel: number,
  filter: number,
): number {
  let sum = 0;
  for (let tap = 0; tap < filterSize ** 2; tap += 1) {
    sum += weights[(tap * inputChannels + channel) * numFilters + filter];
  }
  return sum;
}
