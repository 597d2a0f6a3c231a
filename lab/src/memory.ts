/**
 * What lies where in the memory that the network shares with its kernels, and how weights get
 * into it and out of it. Three things lie there differently from in `network.ts`: images have
 * their zeros around them, the last layer has twelve outputs in place of ten (the last two are
 * always 0, and ignored), and the filters are there a second time, one after the other, for the
 * way back.
 */

import {
  type Architecture,
  type Convolution,
  type Weights,
  convolutions,
  NUM_CLASSES,
  shapes,
  size,
  WEIGHT_NAMES,
} from "./network.ts";

/** Ten classes, rounded up to a multiple of four. */
export const NUM_LOGITS = 12;

/** A multiplication of {@link Kernels.multiply}, which is described in `assembly/kernels.ts`. */
export interface Multiplication {
  /** Addresses. */
  input: number;
  weights: number;
  /** 0 for none. */
  bias: number;
  output: number;
  /** Room to put weights side by side, or 0. */
  panel: number;
  /** How the places that are multiplied lie in the input: `width` in a line, `count` in all. */
  width: number;
  lineStep: number;
  pixelStep: number;
  count: number;
  /** What is multiplied at each place: `rows` of `run` numbers, `rowStep` apart. */
  rows: number;
  rowStep: number;
  run: number;
  numOutputs: number;
}

/** What the WebAssembly module exports; an address counts bytes. */
export interface Kernels {
  memory: WebAssembly.Memory;
  multiply(
    input: number,
    width: number,
    lineStep: number,
    pixelStep: number,
    count: number,
    rows: number,
    rowStep: number,
    run: number,
    weights: number,
    bias: number,
    numOutputs: number,
    output: number,
    panel: number,
  ): void;
  poolAndRelu(
    output: number,
    size: number,
    channels: number,
    pooling: boolean,
    pooled: number,
    pooledStep: number,
    winners: number,
    patchStep: number,
    patchLine: number,
  ): void;
  relu(array: number, count: number): void;
  reluBackward(
    values: number,
    d: number,
    lines: number,
    length: number,
    step: number,
    result: number,
  ): void;
  convolveBackward(
    d: number,
    winners: number,
    positions: number,
    filters: number,
    input: number,
    rowStep: number,
    rows: number,
    run: number,
    weights: number,
    gradient: number,
    biasGradient: number,
    dInput: number,
    list: number,
  ): void;
  transpose(from: number, rows: number, columns: number, to: number): void;
  addLines(from: number, lines: number, columns: number, sums: number): void;
  adam(
    weights: number,
    gradient: number,
    mean: number,
    square: number,
    count: number,
    rate: number,
    oneMinusBeta1: number,
    oneMinusBeta2: number,
    epsilon: number,
  ): void;
}

/** An array in the module's memory: its address in bytes and its length in numbers. */
export interface Region {
  address: number;
  length: number;
}

export type WeightRegions = Record<keyof Weights, Region>;

/** A convolution, and how its arrays lie in memory. */
export interface Layout extends Convolution {
  /** Height and width of the input with its zeros. */
  paddedSize: number;
  /** Numbers in a row of the padded input, and in all of it. */
  rowStep: number;
  paddedLength: number;
  /** Numbers that a filter's row covers; rounded up to what the kernel works on at once. */
  run: number;
  roundedRun: number;
  /** Outputs after pooling, for one image. */
  positions: number;
  pooledLength: number;
}

export function layout(conv: Convolution): Layout {
  const reach = (conv.outputSize - 1) * conv.stride + conv.filterSize;
  const paddedSize = Math.max(reach, conv.inputSize);
  const rowStep = paddedSize * conv.inputChannels;
  const run = conv.filterSize * conv.inputChannels;
  const positions = conv.pooledSize ** 2;
  return {
    ...conv,
    paddedSize,
    rowStep,
    paddedLength: paddedSize * rowStep,
    run,
    roundedRun: Math.ceil(run / 8) * 8,
    positions,
    pooledLength: positions * conv.numFilters,
  };
}

/** Hands out parts of a memory, one after the other. */
export class Allocator {
  // Address 0 means "none" to the kernels.
  #next = 1024;

  constructor(readonly memory: WebAssembly.Memory) {}

  region(length: number): Region {
    const region = { address: this.#next, length };
    // On a multiple of 16 bytes; after it some zeros, because a kernel that works on eight
    // numbers at a time may read a few beyond the end.
    this.#next += Math.ceil((length * 4) / 16) * 16 + 64;
    return region;
  }

  /** Makes the memory as large as what was handed out, and all of it zeros. */
  finish(): Float32Array {
    const missing = this.#next - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    return new Float32Array(this.memory.buffer).fill(0);
  }
}

/** What training needs besides what judging needs. */
export interface Backward {
  gradients: WeightRegions;
  allGradients: Region;
  halves: [Region, Region]; // sums of gradients
  means: Region;
  squares: Region;
  fc1Transposed: Region;
  fc2Transposed: Region;
  filters2: Region;
  filterGradients1: Region;
  filterGradients2: Region;
  dLogits: Region;
  dFc1: Region;
  dFlat: Region;
  dPool1Padded: Region; // of one image
  dPool1: Region;
  list: Region;
}

/** Room for what training needs. */
export function backwardRegions(
  a: Architecture,
  batchSize: number,
  allocator: Allocator,
): Backward {
  const room = (length: number) => allocator.region(length);
  const run = (l: Layout) => room(l.numFilters * l.filterSize * l.roundedRun);
  const { conv1, conv2 } = convolutions(a);
  const [one, two] = [layout(conv1), layout(conv2)];
  const features = two.pooledLength;
  const [gradients, allGradients] = weightRegions(a, allocator);
  return {
    gradients,
    allGradients,
    halves: [room(allGradients.length), room(allGradients.length)],
    means: room(allGradients.length),
    squares: room(allGradients.length),
    fc1Transposed: room(features * a.fcSize),
    fc2Transposed: room(a.fcSize * NUM_LOGITS),
    filters2: run(two),
    filterGradients1: run(one),
    filterGradients2: run(two),
    dLogits: room(batchSize * NUM_LOGITS),
    dFc1: room(batchSize * a.fcSize),
    dFlat: room(batchSize * features),
    dPool1Padded: room(two.paddedLength),
    dPool1: room(one.pooledLength),
    list: room(2 * one.positions),
  };
}

/** Room for all weights, each alone and all of them together. */
export function weightRegions(a: Architecture, allocator: Allocator): [WeightRegions, Region] {
  const regions = WEIGHT_NAMES.map((name) => {
    const length = size(shapes(a)[name]);
    return allocator.region(name.startsWith("fc2/") ? (length / NUM_CLASSES) * NUM_LOGITS : length);
  });
  const address = regions[0].address;
  const last = regions[regions.length - 1];
  const entries = WEIGHT_NAMES.map((name, i) => [name, regions[i]]);
  return [
    Object.fromEntries(entries) as WeightRegions,
    { address, length: (last.address - address) / 4 + last.length },
  ];
}

/** The parts of a region as long as all weights; `all` is the weights' own. */
export function partsOf(regions: WeightRegions, all: Region, region: Region): WeightRegions {
  const shift = region.address - all.address;
  const entries = WEIGHT_NAMES.map((name) => {
    const { address, length } = regions[name];
    return [name, { address: address + shift, length }];
  });
  return Object.fromEntries(entries) as WeightRegions;
}

/** Copies lines of one length into lines of another. */
export function copyLines(
  from: Float32Array,
  fromStep: number,
  to: Float32Array,
  toStep: number,
): void {
  const length = Math.min(fromStep, toStep);
  for (let line = 0; line * fromStep < from.length; line++) {
    const start = line * fromStep;
    to.set(from.subarray(start, start + length), line * toStep);
  }
}

/** `[rows][run][filters]` into `[filters][rows][rounded run]`. */
export function toFilters(weights: Float32Array, l: Layout, filters: Float32Array): void {
  let from = 0;
  for (let row = 0; row < l.filterSize; row++) {
    for (let i = 0; i < l.run; i++) {
      for (let f = 0; f < l.numFilters; f++) {
        filters[(f * l.filterSize + row) * l.roundedRun + i] = weights[from++];
      }
    }
  }
}

/** And back. */
export function fromFilters(filters: Float32Array, l: Layout, weights: Float32Array): void {
  let to = 0;
  for (let row = 0; row < l.filterSize; row++) {
    for (let i = 0; i < l.run; i++) {
      for (let f = 0; f < l.numFilters; f++) {
        weights[to++] = filters[(f * l.filterSize + row) * l.roundedRun + i];
      }
    }
  }
}
