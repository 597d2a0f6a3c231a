/** What the parts of the page show: one network, its weights as changed, and what it makes of the drawing. */

import type { Activations, Architecture, Convolution, Shapes, Weights } from "../network.ts";
import { oneSign, PAPER, twoSigns, type Scale } from "./colours.ts";
import type { LayerName } from "./cells.ts";
import { roundUp } from "./numbers.ts";

export interface State {
  architecture: Architecture;
  shapes: Shapes;
  conv1: Convolution;
  conv2: Convolution;
  /** Whether the numbers are exact; a network's small copy gives them only roughly. */
  exact: boolean;
  /** As they were trained. */
  base: Weights;
  /** With the reader's changes. */
  weights: Weights;
  activations: Activations;
}

/** The largest size of a number in an array. */
export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i += 1) most = Math.max(most, Math.abs(values[i]));
  return most;
}

/** The one colour scale of a layer's outputs, for the numbers that it holds now. */
export function layerScale(layer: LayerName, values: Float32Array): Scale {
  switch (layer) {
    case "input":
      return PAPER;
    case "conv1":
    case "conv2":
    case "logits":
      return twoSigns(roundUp(largest(values)));
    case "probabilities":
      return oneSign(1);
    default:
      return oneSign(roundUp(largest(values)));
  }
}

/** The one colour scale of a layer's weights. */
export function weightScale(values: Float32Array): Scale {
  return twoSigns(roundUp(largest(values)));
}
