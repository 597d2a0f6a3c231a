/**
 * The network of `network.ts`, made fast: the same arithmetic, with its inner loops in
 * WebAssembly (`assembly/kernels.ts`). This file lays out the memory that they share and says
 * what is computed after what.
 *
 * Everything is allocated once, for a network and a number of images. Three things lie in
 * memory otherwise than in `network.ts`: images have their zeros around them, the last layer
 * has twelve outputs in place of ten (the last two are always 0, and ignored), and the filters
 * are there a second time, one after the other, for the way back.
 */

import { LabError } from "./errors.ts";
import {
  type Activations,
  type Architecture,
  type Batch,
  type Convolution,
  type Judgement,
  type Training,
  type TrainingOptions,
  type Weights,
  adamRate,
  BETA1,
  BETA2,
  checkArchitecture,
  convolutions,
  crossEntropy,
  EPSILON,
  guess,
  IMAGE_SIZE,
  IMAGE_SIZE_FLAT,
  newActivations,
  NUM_CLASSES,
  shapes,
  size,
  softmax,
  WEIGHT_NAMES,
  zeroWeights,
} from "./network.ts";

/** Ten classes, rounded up to a multiple of four. */
const NUM_LOGITS = 12;

/** A multiplication of {@link Kernels.multiply}, which is described in `assembly/kernels.ts`. */
interface Multiplication {
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
interface Kernels {
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
interface Region {
  address: number;
  length: number;
}

type WeightRegions = Record<keyof Weights, Region>;

/** A convolution, and how its arrays lie in memory. */
interface Layout extends Convolution {
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

function layout(conv: Convolution): Layout {
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

/** Gives out parts of a memory, one after the other. */
class Allocator {
  // Address 0 means "none" to the kernels.
  #next = 1024;

  constructor(readonly memory: WebAssembly.Memory) {}

  region(length: number): Region {
    const region = { address: this.#next, length };
    // On a multiple of 16 bytes; behind it some zeros, for a kernel that works on eight
    // numbers at a time may read a few beyond the end.
    this.#next += Math.ceil((length * 4) / 16) * 16 + 64;
    return region;
  }

  /** Makes the memory as large as what was given out, and all of it zeros. */
  finish(): Float32Array {
    const missing = this.#next - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    return new Float32Array(this.memory.buffer).fill(0);
  }
}

/** A network in the memory of a WebAssembly module: weights, and room for `batchSize` images. */
export class FastNetwork {
  readonly #kernels: Kernels;
  readonly #memory: Float32Array;
  readonly #architecture: Architecture;
  readonly #conv1: Layout;
  readonly #conv2: Layout;
  readonly #numFeatures: number;
  readonly #weights: WeightRegions;
  readonly #allWeights: Region;

  readonly #input: Region; // [n][padded][padded]
  readonly #conv1Output: Region; // of one image
  readonly #pool1: Region; // [n][padded][padded][numFilters1]
  readonly #winners1: Region; // [n][positions][numFilters1], integers
  readonly #conv2Output: Region;
  readonly #flat: Region; // [n][numFeatures]
  readonly #winners2: Region;
  readonly #fc1: Region; // [n][fcSize]
  readonly #logits: Region; // [n][12]

  readonly #panel: Region; // for the kernel's use
  readonly #back: Backward | null = null;

  /**
   * @param instance An instance of the module that nobody else uses: its memory is laid out
   *   anew.
   * @param training Whether there is to be room for the way back too.
   */
  constructor(
    instance: WebAssembly.Instance,
    architecture: Architecture,
    readonly batchSize: number,
    training = false,
  ) {
    checkArchitecture(architecture);
    const kernels = instance.exports as unknown as Kernels;
    const { filterSize, numFilters1, fcSize } = architecture;
    const { conv1, conv2 } = convolutions(architecture);
    this.#kernels = kernels;
    this.#architecture = { ...architecture };
    this.#conv1 = layout(conv1);
    this.#conv2 = layout(conv2);
    this.#numFeatures = this.#conv2.pooledLength;

    const allocator = new Allocator(kernels.memory);
    const room = (length: number) => allocator.region(length);
    [this.#weights, this.#allWeights] = weightRegions(architecture, allocator);
    this.#input = room(batchSize * this.#conv1.paddedLength);
    this.#conv1Output = room(conv1.outputSize ** 2 * conv1.numFilters);
    this.#pool1 = room(batchSize * this.#conv2.paddedLength);
    this.#winners1 = room(batchSize * this.#conv1.pooledLength);
    this.#conv2Output = room(conv2.outputSize ** 2 * conv2.numFilters);
    this.#flat = room(batchSize * this.#numFeatures);
    this.#winners2 = room(batchSize * this.#numFeatures);
    this.#fc1 = room(batchSize * fcSize);
    this.#logits = room(batchSize * NUM_LOGITS);
    // The longest sum: a fully connected layer's, a filter's, or one over the images.
    this.#panel = room(
      8 * Math.max(this.#numFeatures, filterSize ** 2 * numFilters1, fcSize, batchSize),
    );
    if (training) {
      const gradients = weightRegions(architecture, allocator);
      const run = (l: Layout) => room(l.numFilters * l.filterSize * l.roundedRun);
      this.#back = {
        gradients: gradients[0],
        allGradients: gradients[1],
        means: room(this.#allWeights.length),
        squares: room(this.#allWeights.length),
        fc1Transposed: room(this.#numFeatures * fcSize),
        fc2Transposed: room(fcSize * NUM_LOGITS),
        filters2: run(this.#conv2),
        filterGradients1: run(this.#conv1),
        filterGradients2: run(this.#conv2),
        dLogits: room(batchSize * NUM_LOGITS),
        dFc1: room(batchSize * fcSize),
        dFlat: room(batchSize * this.#numFeatures),
        dPool1Padded: room(this.#conv2.paddedLength),
        dPool1: room(this.#conv1.pooledLength),
        list: room(2 * this.#conv1.positions),
      };
    }
    this.#memory = allocator.finish();
  }

  /** Whether it is of this kind, so that weights can be put into it. */
  isOf(a: Architecture): boolean {
    const own = this.#architecture;
    return (Object.keys(own) as (keyof Architecture)[]).every((key) => own[key] === a[key]);
  }

  setWeights(w: Weights): void {
    for (const name of WEIGHT_NAMES) {
      const to = this.#numbers(this.#weights[name]);
      if (w[name].length !== size(shapes(this.#architecture)[name])) {
        throw new LabError("invalid", `The array ${name} is of another network.`);
      }
      if (!name.startsWith("fc2/")) to.set(w[name]);
      else copyLines(w[name], NUM_CLASSES, to, NUM_LOGITS);
    }
  }

  /** A copy of the weights. */
  getWeights(): Weights {
    const w = zeroWeights(this.#architecture);
    for (const name of WEIGHT_NAMES) {
      const from = this.#numbers(this.#weights[name]);
      if (!name.startsWith("fc2/")) w[name].set(from);
      else copyLines(from, NUM_LOGITS, w[name], NUM_CLASSES);
    }
    return w;
  }

  /** Runs the first `count` of the images `[n][784]` through the network. */
  forward(images: Float32Array, count: number): void {
    const { fcSize } = this.#architecture;
    this.#loadImages(images, count);
    for (let n = 0; n < count; n++) this.#convolutionsForward(n);
    this.#dense(this.#flat, count, this.#numFeatures, "fc1", fcSize, this.#fc1);
    this.#kernels.relu(this.#fc1.address, count * fcSize);
    this.#dense(this.#fc1, count, fcSize, "fc2", NUM_LOGITS, this.#logits);
  }

  /** The logits of image `n` of the last {@link forward}; valid until the next. */
  logits(n: number): Float32Array {
    const start = this.#logits.address / 4 + n * NUM_LOGITS;
    return this.#memory.subarray(start, start + NUM_CLASSES);
  }

  /** What every layer gave for the one image of the last {@link forward}, as new arrays. */
  activations(image: Float32Array): Activations {
    const x = newActivations(this.#architecture);
    const pool1 = this.#numbers(this.#pool1);
    const { padding, rowStep, inputSize, inputChannels } = this.#conv2;
    const length = inputSize * inputChannels;
    for (let row = 0; row < inputSize; row++) {
      const start = (row + padding) * rowStep + padding * inputChannels;
      x.pool1.set(pool1.subarray(start, start + length), row * length);
    }
    x.input.set(image);
    x.conv1.set(this.#numbers(this.#conv1Output));
    x.conv2.set(this.#numbers(this.#conv2Output));
    x.pool2.set(this.#numbers(this.#flat).subarray(0, this.#numFeatures));
    x.fc1.set(this.#numbers(this.#fc1).subarray(0, x.fc1.length));
    x.logits.set(this.logits(0));
    softmax(x.logits, x.probabilities);
    return x;
  }

  /** After {@link forward}: fills the gradients of the mean loss of the `count` images. */
  backward(labels: Uint8Array, count: number): void {
    const back = this.#requireBackward();
    const { fcSize } = this.#architecture;
    this.#numbers(back.allGradients).fill(0);
    this.#lossBackward(labels, count, back);

    const features = this.#numFeatures;
    this.#denseBackward(
      this.#fc1,
      fcSize,
      "fc2",
      NUM_LOGITS,
      back.dLogits,
      back.fc2Transposed,
      back.dFc1,
      count,
    );
    this.#denseBackward(
      this.#flat,
      features,
      "fc1",
      fcSize,
      back.dFc1,
      back.fc1Transposed,
      back.dFlat,
      count,
    );

    this.#numbers(back.filterGradients1).fill(0);
    this.#numbers(back.filterGradients2).fill(0);
    toFilters(
      this.#numbers(this.#weights["conv2/weights"]),
      this.#conv2,
      this.#numbers(back.filters2),
    );
    for (let n = 0; n < count; n++) this.#convolutionsBackward(n, back);
    const { gradients } = back;
    fromFilters(
      this.#numbers(back.filterGradients1),
      this.#conv1,
      this.#numbers(gradients["conv1/weights"]),
    );
    fromFilters(
      this.#numbers(back.filterGradients2),
      this.#conv2,
      this.#numbers(gradients["conv2/weights"]),
    );
  }

  /** Changes all weights by one step of Adam; `step` counts from 1. */
  adam(learningRate: number, step: number): void {
    const back = this.#requireBackward();
    this.#kernels.adam(
      this.#allWeights.address,
      back.allGradients.address,
      back.means.address,
      back.squares.address,
      this.#allWeights.length,
      adamRate(learningRate, step),
      1 - BETA1,
      1 - BETA2,
      EPSILON,
    );
  }

  #numbers({ address, length }: Region): Float32Array {
    return this.#memory.subarray(address / 4, address / 4 + length);
  }

  #requireBackward(): Backward {
    if (this.#back === null) throw new Error("made without room for training");
    return this.#back;
  }

  #loadImages(images: Float32Array, count: number): void {
    const { padding, rowStep, paddedLength } = this.#conv1;
    const input = this.#numbers(this.#input);
    for (let n = 0; n < count; n++) {
      for (let row = 0; row < IMAGE_SIZE; row++) {
        const from = n * IMAGE_SIZE_FLAT + row * IMAGE_SIZE;
        const to = n * paddedLength + (row + padding) * rowStep + padding;
        input.set(images.subarray(from, from + IMAGE_SIZE), to);
      }
    }
  }

  #convolutionsForward(n: number): void {
    const [one, two] = [this.#conv1, this.#conv2];
    const input = this.#input.address + 4 * n * one.paddedLength;
    const pool1 = this.#pool1.address + 4 * n * two.paddedLength;
    // The first convolution's result goes to the middle of the second's padded input.
    const middle = pool1 + 4 * (two.padding * two.rowStep + two.padding * two.inputChannels);
    const winners1 = this.#winners1.address + 4 * n * one.pooledLength;
    this.#convolve(one, input, "conv1", this.#conv1Output);
    this.#pool(one, this.#conv1Output, middle, two.rowStep, winners1);

    const flat = this.#flat.address + 4 * n * two.pooledLength;
    const winners2 = this.#winners2.address + 4 * n * two.pooledLength;
    this.#convolve(two, pool1, "conv2", this.#conv2Output);
    this.#pool(two, this.#conv2Output, flat, two.pooledSize * two.numFilters, winners2);
  }

  #convolve(l: Layout, input: number, layer: "conv1" | "conv2", output: Region): void {
    this.#multiply({
      input,
      width: l.outputSize,
      lineStep: l.stride * l.rowStep,
      pixelStep: l.stride * l.inputChannels,
      count: l.outputSize ** 2,
      rows: l.filterSize,
      rowStep: l.rowStep,
      run: l.run,
      weights: this.#weights[`${layer}/weights`].address,
      bias: this.#weights[`${layer}/biases`].address,
      numOutputs: l.numFilters,
      output: output.address,
      panel: this.#panel.address,
    });
  }

  #pool(l: Layout, output: Region, pooled: number, pooledStep: number, winners: number): void {
    this.#kernels.poolAndRelu(
      output.address,
      l.outputSize,
      l.numFilters,
      l.pooling,
      pooled,
      pooledStep,
      winners,
      l.stride * l.inputChannels,
      l.stride * l.rowStep,
    );
  }

  #dense(
    input: Region,
    count: number,
    numInputs: number,
    layer: "fc1" | "fc2",
    numOutputs: number,
    output: Region,
  ): void {
    this.#multiply({
      input: input.address,
      width: count,
      lineStep: 0,
      pixelStep: numInputs,
      count,
      rows: 1,
      rowStep: numInputs,
      run: numInputs,
      weights: this.#weights[`${layer}/weights`].address,
      bias: this.#weights[`${layer}/biases`].address,
      numOutputs,
      output: output.address,
      panel: this.#panelFor(count),
    });
  }

  #multiply(m: Multiplication): void {
    this.#kernels.multiply(
      ...([m.input, m.width, m.lineStep, m.pixelStep, m.count, m.rows, m.rowStep, m.run] as const),
      ...([m.weights, m.bias, m.numOutputs, m.output, m.panel] as const),
    );
  }

  /** Putting the weights side by side pays where many outputs use them. */
  #panelFor(count: number): number {
    return count < 16 ? 0 : this.#panel.address;
  }

  /** Softmax and cross-entropy, whose derivative is `probability - (1 for the label)`. */
  #lossBackward(labels: Uint8Array, count: number, back: Backward): void {
    const dLogits = this.#numbers(back.dLogits);
    for (let n = 0; n < count; n++) {
      const d = dLogits.subarray(n * NUM_LOGITS, n * NUM_LOGITS + NUM_CLASSES);
      softmax(this.logits(n), d);
      d[labels[n]] -= 1;
      for (let j = 0; j < NUM_CLASSES; j++) d[j] /= count;
    }
  }

  /** Back through a fully connected layer and the ReLU that made its input. */
  #denseBackward(
    input: Region,
    numInputs: number,
    layer: "fc1" | "fc2",
    numOutputs: number,
    dOutput: Region,
    transposed: Region,
    dInput: Region,
    count: number,
  ): void {
    const k = this.#kernels;
    const { gradients } = this.#requireBackward();
    const weights = this.#weights[`${layer}/weights`].address;
    k.addLines(dOutput.address, count, numOutputs, gradients[`${layer}/biases`].address);
    // Gradient [i][j]: the sum over the images of input [i] times derivative [j].
    this.#multiply({
      input: input.address,
      width: numInputs,
      lineStep: 0,
      pixelStep: 1,
      count: numInputs,
      rows: count,
      rowStep: numInputs,
      run: 1,
      weights: dOutput.address,
      bias: 0,
      numOutputs,
      output: gradients[`${layer}/weights`].address,
      panel: this.#panelFor(numInputs),
    });
    // Derivative by the input: the output's times the weights, the other way round.
    k.transpose(weights, numInputs, numOutputs, transposed.address);
    this.#multiply({
      input: dOutput.address,
      width: count,
      lineStep: 0,
      pixelStep: numOutputs,
      count,
      rows: 1,
      rowStep: numOutputs,
      run: numOutputs,
      weights: transposed.address,
      bias: 0,
      numOutputs: numInputs,
      output: dInput.address,
      panel: this.#panelFor(count),
    });
    k.reluBackward(input.address, dInput.address, count, numInputs, numInputs, dInput.address);
  }

  #convolutionsBackward(n: number, back: Backward): void {
    const k = this.#kernels;
    const [one, two] = [this.#conv1, this.#conv2];
    const input = this.#input.address + 4 * n * one.paddedLength;
    const pool1 = this.#pool1.address + 4 * n * two.paddedLength;
    this.#numbers(back.dPool1Padded).fill(0);
    k.convolveBackward(
      back.dFlat.address + 4 * n * two.pooledLength,
      this.#winners2.address + 4 * n * two.pooledLength,
      two.positions,
      two.numFilters,
      pool1,
      two.rowStep,
      two.filterSize,
      two.roundedRun,
      back.filters2.address,
      back.filterGradients2.address,
      back.gradients["conv2/biases"].address,
      back.dPool1Padded.address,
      back.list.address,
    );
    const middle = 4 * (two.padding * two.rowStep + two.padding * two.inputChannels);
    k.reluBackward(
      pool1 + middle,
      back.dPool1Padded.address + middle,
      two.inputSize,
      two.inputSize * two.inputChannels,
      two.rowStep,
      back.dPool1.address,
    );
    k.convolveBackward(
      back.dPool1.address,
      this.#winners1.address + 4 * n * one.pooledLength,
      one.positions,
      one.numFilters,
      input,
      one.rowStep,
      one.filterSize,
      one.roundedRun,
      0,
      back.filterGradients1.address,
      back.gradients["conv1/biases"].address,
      0,
      back.list.address,
    );
  }
}

/** What training needs beside what judging needs. */
interface Backward {
  gradients: WeightRegions;
  allGradients: Region;
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

/** Room for all weights, each alone and all of them together. */
function weightRegions(a: Architecture, allocator: Allocator): [WeightRegions, Region] {
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

/** Copies lines of one length into lines of another. */
function copyLines(from: Float32Array, fromStep: number, to: Float32Array, toStep: number): void {
  const length = Math.min(fromStep, toStep);
  for (let line = 0; line * fromStep < from.length; line++) {
    const start = line * fromStep;
    to.set(from.subarray(start, start + length), line * toStep);
  }
}

/** `[rows][run][filters]` into `[filters][rows][rounded run]`. */
function toFilters(weights: Float32Array, l: Layout, filters: Float32Array): void {
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
function fromFilters(filters: Float32Array, l: Layout, weights: Float32Array): void {
  let to = 0;
  for (let row = 0; row < l.filterSize; row++) {
    for (let i = 0; i < l.run; i++) {
      for (let f = 0; f < l.numFilters; f++) {
        weights[to++] = filters[(f * l.filterSize + row) * l.roundedRun + i];
      }
    }
  }
}

/** A {@link FastNetwork} in training. */
export class FastTraining implements Training {
  readonly #network: FastNetwork;
  readonly #learningRate: number;
  #steps = 0;

  constructor(instance: WebAssembly.Instance, options: TrainingOptions) {
    this.#network = new FastNetwork(instance, options.architecture, options.batchSize, true);
    this.#network.setWeights(options.weights);
    this.#learningRate = options.learningRate;
  }

  step({ images, labels }: Batch): Judgement {
    if (labels.length !== this.#network.batchSize) {
      throw new LabError("invalid", `A step takes ${this.#network.batchSize} images.`);
    }
    this.#network.forward(images, labels.length);
    const judgement = this.#judge(labels);
    this.#network.backward(labels, labels.length);
    this.#steps += 1;
    this.#network.adam(this.#learningRate, this.#steps);
    return judgement;
  }

  evaluate({ images, labels }: Batch): Judgement {
    let [loss, accuracy] = [0, 0];
    for (let start = 0; start < labels.length; start += this.#network.batchSize) {
      const some = labels.subarray(start, start + this.#network.batchSize);
      this.#network.forward(images.subarray(start * IMAGE_SIZE_FLAT), some.length);
      const judgement = this.#judge(some);
      loss += judgement.loss * some.length;
      accuracy += judgement.accuracy * some.length;
    }
    return { loss: loss / labels.length, accuracy: accuracy / labels.length };
  }

  weights(): Weights {
    return this.#network.getWeights();
  }

  #judge(labels: Uint8Array): Judgement {
    let [loss, correct] = [0, 0];
    labels.forEach((label, n) => {
      const logits = this.#network.logits(n);
      loss += crossEntropy(logits, label);
      if (guess(logits) === label) correct += 1;
    });
    return { loss: loss / labels.length, accuracy: correct / labels.length };
  }
}
