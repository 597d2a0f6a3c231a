/** Training in plain arithmetic: Adam, the learning rate, and the four quarters of a batch. */

import {
  type Activations,
  type Architecture,
  type Scratch,
  type Weights,
  backward,
  checkArchitecture,
  copyWeights,
  crossEntropy,
  forwardInto,
  guess,
  IMAGE_SIZE_FLAT,
  newActivations,
  newScratch,
  WEIGHT_NAMES,
  zeroWeights,
} from "./network.ts";

// ---------------------------------------------------------------------------------------
// Adam: one step down
// ---------------------------------------------------------------------------------------

// D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization" (2015), in the form
// that TensorFlow computes; epsilon as Keras has it.
export const BETA1 = 0.9;
export const BETA2 = 0.999;
export const EPSILON = 1e-7;

/** How far Adam's step number `step` (from 1) goes, before `m / (√v + ε)`. */
export function adamRate(learningRate: number, step: number): number {
  return (learningRate * Math.sqrt(1 - BETA2 ** step)) / (1 - BETA1 ** step);
}

/** What Adam remembers from step to step: running means of each gradient and of its square. */
export interface AdamState {
  step: number;
  means: Weights;
  squares: Weights;
}

export function newAdamState(a: Architecture): AdamState {
  return { step: 0, means: zeroWeights(a), squares: zeroWeights(a) };
}

/** Changes the weights by one step of Adam. */
export function adamStep(
  w: Weights,
  gradients: Weights,
  state: AdamState,
  learningRate: number,
): void {
  state.step += 1;
  const rate = adamRate(learningRate, state.step);
  for (const name of WEIGHT_NAMES) {
    const weights = w[name];
    const gradient = gradients[name];
    const mean = state.means[name];
    const square = state.squares[name];
    for (let i = 0; i < weights.length; i++) {
      mean[i] += (1 - BETA1) * (gradient[i] - mean[i]);
      square[i] += (1 - BETA2) * (gradient[i] ** 2 - square[i]);
      weights[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) + EPSILON);
    }
  }
}

// ---------------------------------------------------------------------------------------
// The learning rate
// ---------------------------------------------------------------------------------------

/**
 * The learning rate of a step (from 1) of one cycle: it rises in a straight line for a quarter of
 * the steps, then falls to a hundredth (L. N. Smith and N. Topin, "Super-Convergence", 2018). The
 * same as the package's `one_cycle`.
 */
export function oneCycle(step: number, steps: number, peak: number): number {
  const top = 0.25 * steps;
  if (step <= top) return (peak * step) / top;
  const along = Math.min(1, (step - top) / (steps - top));
  return peak * (1 + along * (0.01 - 1));
}

// ---------------------------------------------------------------------------------------
// Training: forward, backward and Adam for one batch after another
// ---------------------------------------------------------------------------------------

export interface TrainingOptions {
  architecture: Architecture;
  weights: Weights; // to begin with; copied
  learningRate: number;
  batchSize: number;
  /** Share of certainty, 0 to 1, that the loss spreads over all classes; 0 where left out. */
  labelSmoothing?: number;
  /** Steps of one cycle, in which `learningRate` is the highest; without it the rate stays. */
  cycle?: number;
}

/** The learning rate of a step, from 1. */
export function rateOf({ cycle, learningRate }: TrainingOptions, step: number): number {
  return cycle ? oneCycle(step, cycle, learningRate) : learningRate;
}

/** Images `[n][784]`, 0 to 1, and their labels `[n]`. */
export interface Batch {
  images: Float32Array;
  labels: Uint8Array;
}

/** How a batch, or a set of images, was judged. */
export interface Judgement {
  /** Mean cross-entropy, in nats. */
  loss: number;
  /** Share of right guesses, 0 to 1. */
  accuracy: number;
}

/** The same as sums, to be added up: losses, and right guesses. */
export interface Sums {
  loss: number;
  correct: number;
  /** One number of its gradient, to be watched: that of the bias of the logit of 0. */
  sample: number;
}

/** A batch's quarters, in order; where they cannot be equal, as near to that as can be. */
export function quartersOf({ images, labels }: Batch): Batch[] {
  const bounds = [0, 1, 2, 3, 4].map((quarter) => Math.floor((quarter * labels.length) / 4));
  return [0, 1, 2, 3].map((quarter) => {
    const [from, to] = [bounds[quarter], bounds[quarter + 1]];
    return {
      images: images.subarray(from * IMAGE_SIZE_FLAT, to * IMAGE_SIZE_FLAT),
      labels: labels.subarray(from, to),
    };
  });
}

/** The half that a quarter belongs to. */
export const halfOf = (quarter: number): number => (quarter < 2 ? 0 : 1);

/**
 * A network that learns. The plain and the fast one look the same from outside.
 *
 * A step's gradient is `(quarter 0 + quarter 1) + (quarter 2 + quarter 3)`, rounded to float32
 * after each addition, whoever computes which quarter: so several workers come to the same
 * weights as one does, to the bit.
 */
export interface Learner {
  setWeights(w: Weights): void;
  /** A copy of the weights. */
  weights(): Weights;
  /** All weights in the learner's own order, to be handed to another of the same kind. */
  parameters(into?: Float32Array): Float32Array;
  setParameters(parameters: Float32Array): void;
  /** Forgets the gradients of the step before. */
  clear(): void;
  /** Adds a quarter's gradient to its half; each image's loss counts `scale` times. */
  learn(quarter: Batch, scale: number, half: number): Sums;
  /** The gradient of a half, in the order of {@link parameters}. */
  sum(half: number, into?: Float32Array): Float32Array;
  /** Adds to a half what another learner's {@link sum} gave. */
  add(half: number, gradient: Float32Array): void;
  /** Adds up both halves and takes a step of Adam; `step` counts from 1. */
  descend(rate: number, step: number): void;
  /** What the network takes each image for. */
  guesses(batch: Batch): { loss: number; guesses: Uint8Array };
  /** What Adam remembers, as copies. */
  memory(): Omit<AdamState, "step">;
  setMemory(memory: Omit<AdamState, "step">): void;
}

/** A network in training. */
export interface Training {
  /** Takes one step; `batch` holds `batchSize` images. Judges it as it was before the step. */
  step(batch: Batch): Judgement;
  /** Judges any number of images with the weights as they are. */
  evaluate(batch: Batch): Judgement;
  /** A copy of the weights. */
  weights(): Weights;
}

/** Training by one learner alone. */
export class LoneTraining implements Training {
  #steps = 0;

  constructor(
    readonly learner: Learner,
    private readonly options: TrainingOptions,
  ) {}

  step(batch: Batch): Judgement {
    const { length } = batch.labels;
    this.learner.clear();
    const sums = quartersOf(batch).map((quarter, i) =>
      this.learner.learn(quarter, 1 / length, halfOf(i)),
    );
    this.#steps += 1;
    this.learner.descend(rateOf(this.options, this.#steps), this.#steps);
    return meanOf(sums, length);
  }

  evaluate(batch: Batch): Judgement {
    return evaluate(this.learner, batch);
  }

  weights(): Weights {
    return this.learner.weights();
  }
}

export function evaluate(learner: Learner, batch: Batch): Judgement {
  const { loss, guesses } = learner.guesses(batch);
  const correct = guesses.filter((guessed, n) => guessed === batch.labels[n]).length;
  return { loss, accuracy: correct / guesses.length };
}

export function meanOf(sums: Sums[], count: number): Judgement {
  const total = (key: keyof Sums): number => sums.reduce((sum, one) => sum + one[key], 0);
  return { loss: total("loss") / count, accuracy: total("correct") / count };
}

export class PlainLearner implements Learner {
  readonly #architecture: Architecture;
  readonly #labelSmoothing: number;
  readonly #weights: Weights;
  readonly #adam: AdamState;
  readonly #quarter: Weights;
  readonly #halves: [Weights, Weights];
  readonly #activations: Activations;
  readonly #scratch: Scratch;

  constructor({ architecture, weights, labelSmoothing = 0 }: TrainingOptions) {
    checkArchitecture(architecture);
    this.#architecture = architecture;
    this.#labelSmoothing = labelSmoothing;
    this.#weights = copyWeights(weights);
    this.#adam = newAdamState(architecture);
    this.#quarter = zeroWeights(architecture);
    this.#halves = [zeroWeights(architecture), zeroWeights(architecture)];
    this.#activations = newActivations(architecture);
    this.#scratch = newScratch(architecture);
  }

  setWeights(w: Weights): void {
    for (const name of WEIGHT_NAMES) this.#weights[name].set(w[name]);
  }

  weights(): Weights {
    return copyWeights(this.#weights);
  }

  parameters(into?: Float32Array): Float32Array {
    return flatten(this.#weights, into);
  }

  setParameters(parameters: Float32Array): void {
    unflatten(parameters, this.#weights);
  }

  clear(): void {
    for (const half of this.#halves) for (const name of WEIGHT_NAMES) half[name].fill(0);
  }

  learn({ images, labels }: Batch, scale: number, half: number): Sums {
    const [x, gradient] = [this.#activations, this.#quarter];
    for (const name of WEIGHT_NAMES) gradient[name].fill(0);
    const sums: Sums = { loss: 0, correct: 0, sample: 0 };
    labels.forEach((label, n) => {
      this.#look(images, n);
      sums.loss += crossEntropy(x.logits, label);
      if (guess(x.logits) === label) sums.correct += 1;
      backward(this.#architecture, this.#weights, x, label, scale, gradient, this.#scratch, {
        labelSmoothing: this.#labelSmoothing,
      });
    });
    addTo(this.#halves[half], gradient);
    sums.sample = gradient["fc2/biases"][0];
    return sums;
  }

  sum(half: number, into?: Float32Array): Float32Array {
    return flatten(this.#halves[half], into);
  }

  add(half: number, gradient: Float32Array): void {
    unflatten(gradient, this.#quarter);
    addTo(this.#halves[half], this.#quarter);
  }

  descend(rate: number, step: number): void {
    const [first, second] = this.#halves;
    addTo(first, second);
    this.#adam.step = step - 1;
    adamStep(this.#weights, first, this.#adam, rate);
  }

  guesses({ images, labels }: Batch): { loss: number; guesses: Uint8Array } {
    let loss = 0;
    const guesses = labels.map((label, n) => {
      this.#look(images, n);
      loss += crossEntropy(this.#activations.logits, label);
      return guess(this.#activations.logits);
    });
    return { loss: loss / labels.length, guesses };
  }

  memory(): Omit<AdamState, "step"> {
    return { means: copyWeights(this.#adam.means), squares: copyWeights(this.#adam.squares) };
  }

  setMemory({ means, squares }: Omit<AdamState, "step">): void {
    for (const name of WEIGHT_NAMES) {
      this.#adam.means[name].set(means[name]);
      this.#adam.squares[name].set(squares[name]);
    }
  }

  #look(images: Float32Array, n: number): void {
    const image = images.subarray(n * IMAGE_SIZE_FLAT, (n + 1) * IMAGE_SIZE_FLAT);
    forwardInto(this.#architecture, this.#weights, image, this.#activations);
  }
}

function addTo(sum: Weights, other: Weights): void {
  for (const name of WEIGHT_NAMES) {
    const [to, from] = [sum[name], other[name]];
    for (let i = 0; i < to.length; i++) to[i] += from[i];
  }
}

/** All weights one after the other, in the order of `WEIGHT_NAMES`. */
export function flatten(w: Weights, into?: Float32Array): Float32Array {
  const length = WEIGHT_NAMES.reduce((sum, name) => sum + w[name].length, 0);
  const flat = into ?? new Float32Array(length);
  let start = 0;
  for (const name of WEIGHT_NAMES) {
    flat.set(w[name], start);
    start += w[name].length;
  }
  return flat;
}

export function unflatten(flat: Float32Array, w: Weights): void {
  let start = 0;
  for (const name of WEIGHT_NAMES) w[name].set(flat.subarray(start, (start += w[name].length)));
}
