/**
 * The way of a number through the network: what it is made from, and what it moves.
 *
 * What it is made from are the sums of its own arithmetic. What it moves is found by trying: the
 * whole picture (or unit, or pixel) that it stands in is set to zero, and the network computed
 * again. One number of a picture moves too little to be seen.
 */

import type { Engine } from "../engine.ts";
import type { Activations, Convolution, Weights } from "../network.ts";
import {
  convolutionSum,
  pooled,
  weightedSum,
  type ConvolutionSum,
  type Pooled,
} from "./arithmetic.ts";
import { indexOf, placeOf, type Cell, type LayerName } from "./cells.ts";
import type { State } from "./state.ts";
import type { Mark } from "./tiles.ts";

/** A layer that has a place in the picture; sums stand in the place of what becomes of them. */
export type StageLayer = "input" | "pictures1" | "pictures2" | "fc1" | "logits";

/** A rectangle in a layer, in the numbers of that layer's finished pictures. */
export interface Anchor extends Mark {
  layer: StageLayer;
}

/** A line from one layer to another. */
export interface Wire {
  from: Anchor;
  to: Anchor;
  /** What goes along it: it decides width and colour. */
  value: number;
  /** What it leads to, away from the chosen number. */
  cell: Cell;
  /** Of a sum over channels: which one. */
  channel?: number;
}

export interface Path {
  /** What the number is made from: one sum for each wire. */
  back: Wire[];
  /** What it moves most, largest first. */
  forward: Wire[];
  /** From what it moves on to the logits. */
  onward: Wire[];
  /** Rectangles to outline, by layer. */
  marks: Anchor[];
  /** Its part in each logit: how much lower it would be without it; `null` if that says nothing. */
  parts: Float32Array | null;
  /** What `parts` is the part of, in words. */
  whose: string;
}

/** How many of the units, or of the pictures, that a choice moves are shown. */
const MOST = 10;
/** How many units are shown that a logit is made from. */
const MOST_UNITS = 16;

export const STAGE_LAYER: Record<LayerName, StageLayer> = {
  input: "input",
  conv1: "pictures1",
  pool1: "pictures1",
  conv2: "pictures2",
  pool2: "pictures2",
  flat: "pictures2",
  fc1: "fc1",
  logits: "logits",
  probabilities: "logits",
};

/** The layer of the convolution that made a cell's picture. */
export function convolutionOf(layer: LayerName): 1 | 2 | null {
  if (layer === "conv1" || layer === "pool1") return 1;
  return layer === "conv2" || layer === "pool2" || layer === "flat" ? 2 : null;
}

/** Weights in which one filter gives nothing but zeros. */
export function silencedWeights(
  weights: Weights,
  layer: 1 | 2,
  { numFilters }: Convolution,
  filter: number,
): Weights {
  const [all, biases] = [
    weights[`conv${layer}/weights`].slice(),
    weights[`conv${layer}/biases`].slice(),
  ];
  for (let i = filter; i < all.length; i += numFilters) all[i] = 0;
  biases[filter] = 0;
  return { ...weights, [`conv${layer}/weights`]: all, [`conv${layer}/biases`]: biases };
}

/** The sum behind a number of a convolution's layer: of a pooled one the winner's, or another's. */
export interface Made {
  sum: ConvolutionSum;
  pooled: Pooled | null;
  /** Which of the four is shown. */
  place: number;
}

/** @param place One of the four sums that pooling chose from; `null` for the one it took. */
export function madeOf(state: State, cell: Cell, place: number | null = null): Made {
  const layer = convolutionOf(cell.layer)!;
  const conv = state[`conv${layer}`];
  const { weights, activations } = state;
  const isSum = cell.layer === "conv1" || cell.layer === "conv2";
  const shape = state.shapes[cell.layer === "flat" ? "pool2" : cell.layer];
  const [row, column, filter] = placeOf(shape, cell.index);
  const sums = activations[`conv${layer}`];
  const window = isSum ? null : pooled(conv, sums, row, column, filter);
  const chosen = window ? (place ?? window.winner) : 0;
  const at = window ? window.window[chosen] : { row, column };
  const sum = convolutionSum(
    conv,
    layer === 1 ? activations.input : activations.pool1,
    weights[`conv${layer}/weights`],
    weights[`conv${layer}/biases`],
    at.row,
    at.column,
    filter,
  );
  return { sum, pooled: window, place: chosen };
}

/** Where the largest in size stands. */
export function loudest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i += 1)
    if (Math.abs(values[i]) > Math.abs(values[best])) best = i;
  return best;
}

/** The places of the largest in size that are not zero, largest first. */
function loudestOf(values: Float32Array, most: number): number[] {
  return Array.from(values.keys())
    .filter((i) => values[i] !== 0)
    .sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]))
    .slice(0, most);
}

/** What part of the layer below a stretch of a convolution's output looks at: first, and length. */
function below(conv: Convolution, [first, length]: [number, number]): [number, number] {
  return [first * conv.stride - conv.padding, (length - 1) * conv.stride + conv.filterSize];
}

const unpooled = (conv: Convolution, [first, length]: [number, number]): [number, number] =>
  conv.pooling ? [2 * first, 2 * length] : [first, length];

/** The part of the input that a stretch of a layer's rows (or columns) depends on. */
function field(state: State, layer: LayerName, stretch: [number, number]): [number, number] {
  const { conv1, conv2 } = state;
  switch (layer) {
    case "pool2":
      return field(state, "conv2", unpooled(conv2, stretch));
    case "conv2":
      return field(state, "pool1", below(conv2, stretch));
    case "pool1":
      return field(state, "conv1", unpooled(conv1, stretch));
    case "conv1":
      return below(conv1, stretch);
    default:
      return stretch;
  }
}

/** The rectangle of the input that numbers from a row and column on depend on. */
function receptiveField(
  state: State,
  layer: LayerName,
  row: number,
  column: number,
  kind?: "dashed",
): Anchor {
  const [top, height] = field(state, layer, [row, 1]);
  const [left, width] = field(state, layer, [column, 1]);
  return {
    layer: "input",
    map: 0,
    row: top,
    column: left,
    height,
    width,
    ...(kind && { kind }),
  };
}

const unit = (index: number): Anchor => ({
  layer: "fc1",
  map: index,
  row: 0,
  column: 0,
  height: 1,
  width: 1,
});
const logit = (index: number): Anchor => ({ ...unit(index), layer: "logits" });

/** The whole of a picture. */
function picture(state: State, layer: 1 | 2, map: number): Anchor {
  const side = state[`conv${layer}`].pooledSize;
  return {
    layer: layer === 1 ? "pictures1" : "pictures2",
    map,
    row: 0,
    column: 0,
    height: side,
    width: side,
  };
}

/** Where a cell stands in the picture. */
export function anchorOf(state: State, cell: Cell): Anchor {
  const layer = STAGE_LAYER[cell.layer];
  if (layer === "fc1") return unit(cell.index);
  if (layer === "logits") return logit(cell.index);
  const shape = state.shapes[cell.layer === "flat" ? "pool2" : cell.layer];
  const [row, column, map = 0] = placeOf(shape, cell.index);
  const isSum = cell.layer === "conv1" || cell.layer === "conv2";
  const conv = convolutionOf(cell.layer);
  const share = isSum && conv && state[`conv${conv}`].pooling ? 0.5 : 1;
  return {
    layer,
    map,
    row: row * share,
    column: column * share,
    height: share,
    width: share,
  };
}

/** The way of a cell; `engine` computes what would be without it. */
export function pathOf(engine: Engine, state: State, cell: Cell): Path {
  const nothing: Path = { back: [], forward: [], onward: [], marks: [], parts: null, whose: "" };
  switch (cell.layer) {
    case "input":
      return { ...nothing, ...pixelPath(engine, state, cell) };
    case "fc1":
      return { ...nothing, ...unitPath(state, cell) };
    case "logits":
    case "probabilities":
      return { ...nothing, back: logitWires(state, cell) };
    default:
      return { ...nothing, ...picturePath(engine, state, cell) };
  }
}

/** From a number of a picture back to the patches, and forward to what its picture moves. */
function picturePath(engine: Engine, state: State, cell: Cell): Partial<Path> {
  const layer = convolutionOf(cell.layer)!;
  const conv = state[`conv${layer}`];
  const { sum, pooled: window } = madeOf(state, cell);
  const own = anchorOf(state, cell);
  const back = sum.subtotals.map((value, channel): Wire => {
    const from: Anchor = {
      layer: layer === 1 ? "input" : "pictures1",
      map: channel,
      row: sum.top,
      column: sum.left,
      height: conv.filterSize,
      width: conv.filterSize,
    };
    return { from, to: own, value, channel, cell: loudestInput(state, layer, sum, channel) };
  });
  const isSum = cell.layer === "conv1" || cell.layer === "conv2";
  const whole: LayerName = layer === 1 ? "pool1" : "pool2";
  const sums: LayerName = layer === 1 ? "conv1" : "conv2";
  const marks = back.map(({ from }) => from);
  if (isSum) marks.push(receptiveField(state, sums, sum.row, sum.column));
  else {
    const [row, column] = placeOf(state.shapes[whole], cell.index);
    marks.push(receptiveField(state, whole, row, column));
    if (window && conv.pooling)
      marks.push(receptiveField(state, sums, sum.row, sum.column, "dashed"));
  }
  const weights = silencedWeights(state.weights, layer, conv, own.map);
  const without = engine.forward(state.architecture, weights, state.activations.input);
  const moved = layer === 1 ? movedPictures(state, without, own) : movedUnits(state, without, own);
  return {
    back,
    ...moved,
    marks: [...marks, ...moved.marks],
    whose: `picture ${own.map} of layer ${layer}`,
  };
}

/** The number of a patch whose product is largest in size. */
function loudestInput(state: State, layer: 1 | 2, sum: ConvolutionSum, channel: number): Cell {
  const below: LayerName = layer === 1 ? "input" : "pool1";
  const size = state[`conv${layer}`].filterSize;
  const at = loudest(sum.products[channel]);
  // All products may be zero, and the first place beyond the edge.
  const inside = sum.inside[at] ? at : sum.inside.indexOf(true);
  const place = [sum.top + Math.floor(inside / size), sum.left + (inside % size)];
  if (layer === 2) place.push(channel);
  return { layer: below, index: indexOf(state.shapes[below], place)! };
}

function difference(now: Float32Array, without: Float32Array): Float32Array {
  return now.map((value, i) => value - without[i]);
}

type Moved = Pick<Path, "forward" | "onward" | "marks" | "parts">;

/** The pictures of the second layer, and the units, that a picture of the first moves most. */
function movedPictures(state: State, without: Activations, own: Anchor): Moved {
  const { activations } = state;
  const { numFilters } = state.conv2;
  const change = difference(activations.pool2, without.pool2);
  const sums = new Float32Array(numFilters);
  change.forEach((value, i) => (sums[i % numFilters] += value));
  const forward = loudestOf(sums, MOST).map((map): Wire => {
    const values = change.filter((_, i) => i % numFilters === map);
    return {
      from: own,
      to: picture(state, 2, map),
      value: sums[map],
      cell: { layer: "pool2", index: loudest(values) * numFilters + map },
    };
  });
  const units = loudestOf(difference(activations.fc1, without.fc1), MOST);
  return {
    forward,
    onward: [],
    marks: units.map((index) => ({ ...unit(index), kind: "moved" as const })),
    parts: difference(activations.logits, without.logits),
  };
}

/** The units that a picture of the second layer moves most, and of each the logit that it moves. */
function movedUnits(state: State, without: Activations, own: Anchor): Moved {
  const { activations } = state;
  const change = difference(activations.fc1, without.fc1);
  const units = loudestOf(change, MOST);
  const forward = units.map((index): Wire => ({
    from: own,
    to: unit(index),
    value: change[index],
    cell: { layer: "fc1", index },
  }));
  const onward = units.map((index): Wire => {
    const parts = logitParts(state, index, change[index]);
    const most = loudest(parts);
    return {
      from: unit(index),
      to: logit(most),
      value: parts[most],
      cell: { layer: "logits", index: most },
    };
  });
  return {
    forward,
    onward,
    marks: units.map((index) => ({ ...unit(index), kind: "moved" as const })),
    parts: difference(activations.logits, without.logits),
  };
}

/** What a unit's value adds to each logit. */
function logitParts(state: State, index: number, value: number): Float32Array {
  const weights = state.weights["fc2/weights"];
  return Float32Array.from({ length: 10 }, (_, digit) => value * weights[index * 10 + digit]);
}

/** From a unit back to the pictures of the second layer, and forward to the logits. */
function unitPath(state: State, { index }: Cell): Partial<Path> {
  const { activations, weights } = state;
  const { numFilters } = state.conv2;
  const { products } = weightedSum(
    activations.flat,
    weights["fc1/weights"],
    weights["fc1/biases"],
    index,
  );
  const sums = new Float64Array(numFilters);
  products.forEach((value, i) => (sums[i % numFilters] += value));
  const back = Array.from(sums, (value, map): Wire => {
    const own = products.filter((_, i) => i % numFilters === map);
    return {
      from: picture(state, 2, map),
      to: unit(index),
      value,
      channel: map,
      cell: { layer: "pool2", index: loudest(own) * numFilters + map },
    };
  });
  const parts = logitParts(state, index, activations.fc1[index]);
  const forward = loudestOf(parts, MOST).map((digit): Wire => ({
    from: unit(index),
    to: logit(digit),
    value: parts[digit],
    cell: { layer: "logits", index: digit },
  }));
  return { back, forward, parts, whose: `unit ${index}` };
}

/** From a logit back to the units that count most. */
function logitWires(state: State, { index }: Cell): Wire[] {
  const { activations, weights } = state;
  const step = weightedSum(
    activations.fc1,
    weights["fc2/weights"],
    weights["fc2/biases"],
    index,
    MOST_UNITS,
  );
  return step.largest
    .filter((from) => step.products[from] !== 0)
    .map((from) => ({
      from: unit(from),
      to: logit(index),
      value: step.products[from],
      cell: { layer: "fc1", index: from },
    }));
}

/** From a pixel forward to the pictures of the first layer that its ink moves. */
function pixelPath(engine: Engine, state: State, cell: Cell): Partial<Path> {
  const { activations, conv1 } = state;
  if (activations.input[cell.index] === 0) return {};
  const image = activations.input.slice();
  image[cell.index] = 0;
  const without = engine.forward(state.architecture, state.weights, image);
  const change = difference(activations.pool1, without.pool1);
  const { numFilters } = conv1;
  const sums = new Float32Array(numFilters);
  change.forEach((value, i) => (sums[i % numFilters] += value));
  const own = anchorOf(state, cell);
  const forward = loudestOf(sums, numFilters).map((map): Wire => {
    const values = change.filter((_, i) => i % numFilters === map);
    const at = loudest(values);
    const index = at * numFilters + map;
    return {
      from: own,
      to: anchorOf(state, { layer: "pool1", index }),
      value: sums[map],
      cell: { layer: "pool1", index },
    };
  });
  return {
    forward,
    parts: difference(activations.logits, without.logits),
    whose: `the ink of row ${own.row}, column ${own.column}`,
  };
}
