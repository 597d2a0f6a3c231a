/** One number of one layer, and how its place is written. Rows, columns and channels count from 0. */

import type { Activations, Shapes } from "../network.ts";
import { size } from "../network.ts";

export type LayerName = keyof Activations;

export interface Cell {
  layer: LayerName;
  /** Place in the layer's flat, row-major array. */
  index: number;
}

/** What a layer is called in the book's code. */
export const BOOK_NAMES: Record<LayerName, string> = {
  input: "input",
  conv1: "conv1",
  pool1: "layer_conv1",
  conv2: "conv2",
  pool2: "layer_conv2",
  flat: "layer_flat",
  fc1: "layer_fc1",
  logits: "logits",
  probabilities: "probabilities",
};

/** A flat index as row, column and channel (or whatever the shape's axes are). */
export function placeOf(shape: readonly number[], index: number): number[] {
  const place: number[] = [];
  let rest = index;
  for (const length of [...shape].reverse()) {
    place.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return place;
}

/** The flat index of a place; `null` if the shape has no such place. */
export function indexOf(shape: readonly number[], place: readonly number[]): number | null {
  if (place.length !== shape.length) return null;
  let index = 0;
  for (const [axis, at] of place.entries()) {
    if (!Number.isInteger(at) || at < 0 || at >= shape[axis]) return null;
    index = index * shape[axis] + at;
  }
  return index;
}

/** What the axes of a layer's output are called. */
export function axisNames(layer: LayerName): string[] {
  switch (layer) {
    case "input":
      return ["row", "column"];
    case "conv1":
    case "pool1":
    case "conv2":
    case "pool2":
      return ["row", "column", "picture"];
    case "flat":
      return ["number"];
    case "fc1":
      return ["unit"];
    default:
      return ["digit"];
  }
}

/** A cell's place in words: "picture 3, row 4, column 5". */
export function placeInWords(cell: Cell, shapes: Shapes): string {
  const names = axisNames(cell.layer);
  const words = placeOf(shapes[cell.layer], cell.index).map((at, axis) => `${names[axis]} ${at}`);
  // Which picture it is comes first.
  if (words.length === 3) words.unshift(words.pop()!);
  return words.join(", ");
}

/** A cell in words: "Layer 2, picture 6, row 3, column 4". */
export function cellInWords(cell: Cell, shapes: Shapes): string {
  const place = placeInWords(cell, shapes);
  switch (cell.layer) {
    case "input":
      return `Input, ${place}`;
    case "conv1":
      return `Layer 1, sum in ${place}`;
    case "pool1":
      return `Layer 1, ${place}`;
    case "conv2":
      return `Layer 2, sum in ${place}`;
    case "pool2":
      return `Layer 2, ${place}`;
    case "flat":
      return `Flattened, ${place}`;
    case "fc1":
      return `Unit ${cell.index}`;
    case "logits":
      return `Logit of ${cell.index}`;
    case "probabilities":
      return `Probability of ${cell.index}`;
  }
}

/** The cell that a link names; `null` if the network has no such cell. */
export function cellOf(layer: string, place: readonly number[], shapes: Shapes): Cell | null {
  if (!Object.hasOwn(BOOK_NAMES, layer)) return null;
  const index = indexOf(shapes[layer as LayerName], place);
  return index === null ? null : { layer: layer as LayerName, index };
}

/** Whether a network of these shapes has the cell. */
export function hasCell(cell: Cell, shapes: Shapes): boolean {
  return cell.index >= 0 && cell.index < size(shapes[cell.layer]);
}
