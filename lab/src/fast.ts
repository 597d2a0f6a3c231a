/**
 * The network of `network.ts`, made fast: the same arithmetic, with its inner loops in
 * WebAssembly (`assembly/kernels.ts`). This file says in what order things are computed;
 * where they lie in memory is in `memory.ts`. Everything is allocated once, for a network and a
 * number of images.
 */

import { LabError } from "./errors.ts";
import {
  type Backward,
  type Kernels,
  type Layout,
  type Multiplication,
  type Region,
  type WeightRegions,
  Allocator,
  backwardRegions,
  copyLines,
  layout,
  NUM_LOGITS,
  partsOf,
  weightRegions,
} from "./memory.ts";
import {
  type Activations,
  type Architecture,
  type Weights,
  checkArchitecture,
  convolutions,
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
/** A network in the memory of a WebAssembly module: weights, and room for `batchSize` images. */
export class FastNetwork {
  protected readonly kernels: Kernels;
  protected readonly numbersAll: Float32Array;
  protected readonly architecture: Architecture;
  protected readonly conv1: Layout;
  protected readonly conv2: Layout;
  protected readonly numFeatures: number;
  protected readonly regions: WeightRegions;
  protected readonly allWeights: Region;

  protected readonly input: Region; // [n][padded][padded]
  readonly #conv1Output: Region; // of one image
  protected readonly pool1: Region; // [n][padded][padded][numFilters1]
  protected readonly winners1: Region; // [n][positions][numFilters1], integers
  readonly #conv2Output: Region;
  protected readonly flat: Region; // [n][numFeatures]
  protected readonly winners2: Region;
  protected readonly fc1: Region; // [n][fcSize]
  protected readonly logitRegion: Region; // [n][12]

  protected readonly panel: Region; // for the kernel's use
  protected readonly back: Backward | null;

  /**
   * @param instance An instance of the module that nobody else uses: its memory is laid out
   *   afresh.
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
    this.kernels = kernels;
    this.architecture = { ...architecture };
    this.conv1 = layout(conv1);
    this.conv2 = layout(conv2);
    this.numFeatures = this.conv2.pooledLength;

    const allocator = new Allocator(kernels.memory);
    const room = (length: number) => allocator.region(length);
    [this.regions, this.allWeights] = weightRegions(architecture, allocator);
    this.input = room(batchSize * this.conv1.paddedLength);
    this.#conv1Output = room(conv1.outputSize ** 2 * conv1.numFilters);
    this.pool1 = room(batchSize * this.conv2.paddedLength);
    this.winners1 = room(batchSize * this.conv1.pooledLength);
    this.#conv2Output = room(conv2.outputSize ** 2 * conv2.numFilters);
    this.flat = room(batchSize * this.numFeatures);
    this.winners2 = room(batchSize * this.numFeatures);
    this.fc1 = room(batchSize * fcSize);
    this.logitRegion = room(batchSize * NUM_LOGITS);
    // The longest sum: a fully connected layer's, a filter's, or one over the images.
    this.panel = room(
      8 * Math.max(this.numFeatures, filterSize ** 2 * numFilters1, fcSize, batchSize),
    );
    this.back = training ? backwardRegions(architecture, batchSize, allocator) : null;
    this.numbersAll = allocator.finish();
  }

  /** Whether it is of this kind, so that weights can be put into it. */
  isOf(a: Architecture): boolean {
    const own = this.architecture;
    return (Object.keys(own) as (keyof Architecture)[]).every((key) => own[key] === a[key]);
  }

  setWeights(w: Weights): void {
    this.writeWeights(w, this.allWeights);
  }

  /** A copy of the weights. */
  getWeights(): Weights {
    return this.readWeights(this.allWeights);
  }

  /** Puts weights, or as many other numbers, into a region that has room for all of them. */
  protected writeWeights(w: Weights, region: Region): void {
    const regions = partsOf(this.regions, this.allWeights, region);
    for (const name of WEIGHT_NAMES) {
      const to = this.numbers(regions[name]);
      if (w[name].length !== size(shapes(this.architecture)[name])) {
        throw new LabError("invalid", `The array ${name} belongs to another network.`);
      }
      if (!name.startsWith("fc2/")) to.set(w[name]);
      else copyLines(w[name], NUM_CLASSES, to, NUM_LOGITS);
    }
  }

  protected readWeights(region: Region): Weights {
    const regions = partsOf(this.regions, this.allWeights, region);
    const w = zeroWeights(this.architecture);
    for (const name of WEIGHT_NAMES) {
      const from = this.numbers(regions[name]);
      if (!name.startsWith("fc2/")) w[name].set(from);
      else copyLines(from, NUM_LOGITS, w[name], NUM_CLASSES);
    }
    return w;
  }

  /** Runs the first `count` of the images `[n][784]` through the network. */
  forward(images: Float32Array, count: number): void {
    const { fcSize } = this.architecture;
    this.#loadImages(images, count);
    for (let n = 0; n < count; n++) this.#convolutionsForward(n);
    this.#dense(this.flat, count, this.numFeatures, "fc1", fcSize, this.fc1);
    this.kernels.relu(this.fc1.address, count * fcSize);
    this.#dense(this.fc1, count, fcSize, "fc2", NUM_LOGITS, this.logitRegion);
  }

  /** The logits of image `n` of the last {@link forward}; valid until the next. */
  logits(n: number): Float32Array {
    const start = this.logitRegion.address / 4 + n * NUM_LOGITS;
    return this.numbersAll.subarray(start, start + NUM_CLASSES);
  }

  /** What every layer gave for the one image of the last {@link forward}, as new arrays. */
  activations(image: Float32Array): Activations {
    const x = newActivations(this.architecture);
    const pool1 = this.numbers(this.pool1);
    const { padding, rowStep, inputSize, inputChannels } = this.conv2;
    const length = inputSize * inputChannels;
    for (let row = 0; row < inputSize; row++) {
      const start = (row + padding) * rowStep + padding * inputChannels;
      x.pool1.set(pool1.subarray(start, start + length), row * length);
    }
    x.input.set(image);
    x.conv1.set(this.numbers(this.#conv1Output));
    x.conv2.set(this.numbers(this.#conv2Output));
    x.pool2.set(this.numbers(this.flat).subarray(0, this.numFeatures));
    x.fc1.set(this.numbers(this.fc1).subarray(0, x.fc1.length));
    x.logits.set(this.logits(0));
    softmax(x.logits, x.probabilities);
    return x;
  }

  protected numbers({ address, length }: Region): Float32Array {
    return this.numbersAll.subarray(address / 4, address / 4 + length);
  }

  #loadImages(images: Float32Array, count: number): void {
    const { padding, rowStep, paddedLength } = this.conv1;
    const input = this.numbers(this.input);
    for (let n = 0; n < count; n++) {
      for (let row = 0; row < IMAGE_SIZE; row++) {
        const from = n * IMAGE_SIZE_FLAT + row * IMAGE_SIZE;
        const to = n * paddedLength + (row + padding) * rowStep + padding;
        input.set(images.subarray(from, from + IMAGE_SIZE), to);
      }
    }
  }

  #convolutionsForward(n: number): void {
    const [one, two] = [this.conv1, this.conv2];
    const input = this.input.address + 4 * n * one.paddedLength;
    const pool1 = this.pool1.address + 4 * n * two.paddedLength;
    // The first convolution's result goes to the middle of the second's padded input.
    const middle = pool1 + 4 * (two.padding * two.rowStep + two.padding * two.inputChannels);
    const winners1 = this.winners1.address + 4 * n * one.pooledLength;
    this.#convolve(one, input, "conv1", this.#conv1Output);
    this.#pool(one, this.#conv1Output, middle, two.rowStep, winners1);

    const flat = this.flat.address + 4 * n * two.pooledLength;
    const winners2 = this.winners2.address + 4 * n * two.pooledLength;
    this.#convolve(two, pool1, "conv2", this.#conv2Output);
    this.#pool(two, this.#conv2Output, flat, two.pooledSize * two.numFilters, winners2);
  }

  #convolve(l: Layout, input: number, layer: "conv1" | "conv2", output: Region): void {
    this.multiply({
      input,
      width: l.outputSize,
      lineStep: l.stride * l.rowStep,
      pixelStep: l.stride * l.inputChannels,
      count: l.outputSize ** 2,
      rows: l.filterSize,
      rowStep: l.rowStep,
      run: l.run,
      weights: this.regions[`${layer}/weights`].address,
      bias: this.regions[`${layer}/biases`].address,
      numOutputs: l.numFilters,
      output: output.address,
      panel: this.panel.address,
    });
  }

  #pool(l: Layout, output: Region, pooled: number, pooledStep: number, winners: number): void {
    this.kernels.poolAndRelu(
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
    this.multiply({
      input: input.address,
      width: count,
      lineStep: 0,
      pixelStep: numInputs,
      count,
      rows: 1,
      rowStep: numInputs,
      run: numInputs,
      weights: this.regions[`${layer}/weights`].address,
      bias: this.regions[`${layer}/biases`].address,
      numOutputs,
      output: output.address,
      panel: this.panelFor(count),
    });
  }

  protected multiply(m: Multiplication): void {
    this.kernels.multiply(
      ...([m.input, m.width, m.lineStep, m.pixelStep, m.count, m.rows, m.rowStep, m.run] as const),
      ...([m.weights, m.bias, m.numOutputs, m.output, m.panel] as const),
    );
  }

  /** Putting the weights side by side pays where many outputs use them. */
  protected panelFor(count: number): number {
    return count < 16 ? 0 : this.panel.address;
  }
}
