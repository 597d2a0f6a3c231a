/** The way back, and training, on top of `fast.ts`. */

import { FastNetwork } from "./fast.ts";
import { type Backward, type Region, fromFilters, NUM_LOGITS, toFilters } from "./memory.ts";
import {
  type Weights,
  crossEntropy,
  guess,
  IMAGE_SIZE_FLAT,
  lossBackward,
  NUM_CLASSES,
  softmax,
} from "./network.ts";
import {
  type AdamState,
  type Batch,
  type Learner,
  type Sums,
  type TrainingOptions,
  adamRate,
  BETA1,
  BETA2,
  EPSILON,
} from "./training.ts";

/** The fewest images that are looked at together: fewer would cost time. */
const LEAST_ROOM = 32;

/** A {@link FastNetwork} that learns. */
export class FastLearner extends FastNetwork implements Learner {
  readonly #labelSmoothing: number;
  /** Whether the weights lie there the other way round too, as the way back needs them. */
  #turned = false;

  constructor(instance: WebAssembly.Instance, options: TrainingOptions) {
    const room = Math.max(LEAST_ROOM, Math.ceil(options.batchSize / 4));
    super(instance, options.architecture, room, true);
    this.#labelSmoothing = options.labelSmoothing ?? 0;
    this.setWeights(options.weights);
  }

  override setWeights(w: Weights): void {
    super.setWeights(w);
    this.#turned = false;
  }

  weights(): Weights {
    return this.getWeights();
  }

  parameters(into?: Float32Array): Float32Array {
    return copyInto(this.numbers(this.allWeights), into);
  }

  setParameters(parameters: Float32Array): void {
    this.numbers(this.allWeights).set(parameters);
    this.#turned = false;
  }

  clear(): void {
    for (const half of this.back!.halves) this.numbers(half).fill(0);
  }

  learn({ images, labels }: Batch, scale: number, half: number): Sums {
    const { length } = labels;
    if (length === 0) return { loss: 0, correct: 0, sample: 0 };
    this.forward(images, length);
    const sums: Sums = { loss: 0, correct: 0, sample: 0 };
    labels.forEach((label, n) => {
      const logits = this.logits(n);
      sums.loss += crossEntropy(logits, label);
      if (guess(logits) === label) sums.correct += 1;
    });
    this.#backward(labels, scale);
    this.#addTo(half, this.back!.allGradients);
    [sums.sample] = this.numbers(this.back!.gradients["fc2/biases"]);
    return sums;
  }

  sum(half: number, into?: Float32Array): Float32Array {
    return copyInto(this.numbers(this.back!.halves[half]), into);
  }

  add(half: number, gradient: Float32Array): void {
    this.numbers(this.back!.allGradients).set(gradient);
    this.#addTo(half, this.back!.allGradients);
  }

  descend(rate: number, step: number): void {
    const { halves, means, squares } = this.back!;
    this.#addTo(0, halves[1]);
    this.kernels.adam(
      this.allWeights.address,
      halves[0].address,
      means.address,
      squares.address,
      this.allWeights.length,
      adamRate(rate, step),
      1 - BETA1,
      1 - BETA2,
      EPSILON,
    );
    this.#turned = false;
  }

  guesses({ images, labels }: Batch): { loss: number; guesses: Uint8Array } {
    let loss = 0;
    const guesses = new Uint8Array(labels.length);
    for (let start = 0; start < labels.length; start += this.batchSize) {
      const some = labels.subarray(start, start + this.batchSize);
      this.forward(images.subarray(start * IMAGE_SIZE_FLAT), some.length);
      some.forEach((label, n) => {
        const logits = this.logits(n);
        loss += crossEntropy(logits, label);
        guesses[start + n] = guess(logits);
      });
    }
    return { loss: loss / labels.length, guesses };
  }

  memory(): Omit<AdamState, "step"> {
    const { means, squares } = this.back!;
    return { means: this.readWeights(means), squares: this.readWeights(squares) };
  }

  setMemory({ means, squares }: Omit<AdamState, "step">): void {
    this.writeWeights(means, this.back!.means);
    this.writeWeights(squares, this.back!.squares);
  }

  /** Adds an array as long as all weights to a half's sum. */
  #addTo(half: number, { address, length }: Region): void {
    this.kernels.addLines(address, 1, length, this.back!.halves[half].address);
  }

  /** The weights as the way back needs them: once for all quarters of a step. */
  #turn(back: Backward): void {
    if (this.#turned) return;
    this.#turned = true;
    const { fcSize } = this.architecture;
    const { regions, kernels: k } = this;
    k.transpose(
      regions["fc1/weights"].address,
      this.numFeatures,
      fcSize,
      back.fc1Transposed.address,
    );
    k.transpose(regions["fc2/weights"].address, fcSize, NUM_LOGITS, back.fc2Transposed.address);
    toFilters(this.numbers(regions["conv2/weights"]), this.conv2, this.numbers(back.filters2));
  }

  /** After {@link forward}: fills the gradients of these images, each counting `scale` times. */
  #backward(labels: Uint8Array, scale: number): void {
    const back = this.back!;
    const count = labels.length;
    const { fcSize } = this.architecture;
    this.#turn(back);
    this.numbers(back.allGradients).fill(0);
    this.#lossBackward(labels, scale, back);

    const features = this.numFeatures;
    this.#denseBackward(
      this.fc1,
      fcSize,
      "fc2",
      NUM_LOGITS,
      back.dLogits,
      back.fc2Transposed,
      back.dFc1,
      count,
    );
    this.#denseBackward(
      this.flat,
      features,
      "fc1",
      fcSize,
      back.dFc1,
      back.fc1Transposed,
      back.dFlat,
      count,
    );

    this.numbers(back.filterGradients1).fill(0);
    this.numbers(back.filterGradients2).fill(0);
    toFilters(this.numbers(this.regions["conv2/weights"]), this.conv2, this.numbers(back.filters2));
    for (let n = 0; n < count; n++) this.#convolutionsBackward(n, back);
    const { gradients } = back;
    fromFilters(
      this.numbers(back.filterGradients1),
      this.conv1,
      this.numbers(gradients["conv1/weights"]),
    );
    fromFilters(
      this.numbers(back.filterGradients2),
      this.conv2,
      this.numbers(gradients["conv2/weights"]),
    );
  }

  #lossBackward(labels: Uint8Array, scale: number, back: Backward): void {
    const dLogits = this.numbers(back.dLogits);
    const probabilities = new Float32Array(NUM_CLASSES);
    labels.forEach((label, n) => {
      const d = dLogits.subarray(n * NUM_LOGITS, n * NUM_LOGITS + NUM_CLASSES);
      softmax(this.logits(n), probabilities);
      lossBackward(probabilities, label, scale, this.#labelSmoothing, d);
    });
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
    const k = this.kernels;
    const { gradients } = this.back!;
    k.addLines(dOutput.address, count, numOutputs, gradients[`${layer}/biases`].address);
    // Gradient [i][j]: the sum over the images of input [i] times derivative [j].
    this.multiply({
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
      panel: this.panelFor(numInputs),
    });
    // Derivative with respect to the input: the output's times the weights, the other way round.
    this.multiply({
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
      panel: this.panelFor(count),
    });
    k.reluBackward(input.address, dInput.address, count, numInputs, numInputs, dInput.address);
  }

  #convolutionsBackward(n: number, back: Backward): void {
    const k = this.kernels;
    const [one, two] = [this.conv1, this.conv2];
    const input = this.input.address + 4 * n * one.paddedLength;
    const pool1 = this.pool1.address + 4 * n * two.paddedLength;
    this.numbers(back.dPool1Padded).fill(0);
    k.convolveBackward(
      back.dFlat.address + 4 * n * two.pooledLength,
      this.winners2.address + 4 * n * two.pooledLength,
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
      this.winners1.address + 4 * n * one.pooledLength,
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

function copyInto(numbers: Float32Array, into?: Float32Array): Float32Array {
  if (!into) return numbers.slice();
  into.set(numbers);
  return into;
}
