/** A network as a file for Python, and a file from Python as a network. */

import { ImageOrder } from "./batches.ts";
import { LabError } from "./errors.ts";
import {
  type Architecture,
  type Weights,
  BOOK,
  checkArchitecture,
  numParameters,
  shapes,
  startWeights,
  WEIGHT_NAMES,
  zeroWeights,
} from "./network.ts";
import { type NpyArray, npz, readNpz, zip } from "./npz.ts";
import type { TrainerOptions } from "./trainer.ts";
import { rateOf } from "./training.ts";

/** Batches whose images are named in the file. */
export const NAMED_BATCHES = 100;

/** A network as a checkpoint, which `mnist_helpers.load_checkpoint` reads. */
export function checkpointFile(
  a: Architecture,
  w: Weights,
  iterations: number,
): Uint8Array<ArrayBuffer> {
  const arrays: Record<string, NpyArray> = {
    iterations: { shape: [], values: BigInt64Array.of(BigInt(iterations)) },
  };
  for (const name of WEIGHT_NAMES) arrays[name] = { shape: [...shapes(a)[name]], values: w[name] };
  return npz(arrays);
}

/** Images of the training split that make the first batches, `[batches][batchSize]`. */
export function firstBatches(
  { batchSize, seed, last }: TrainerOptions,
  numTrain: number,
  trainOf: number,
): NpyArray {
  const steps = Math.min(NAMED_BATCHES, last ?? NAMED_BATCHES);
  const order = new ImageOrder(numTrain, seed);
  // The page may have only some of the images, spread evenly over the split (`tools/lab_data.py`).
  const values = BigInt64Array.from({ length: steps * batchSize }, () =>
    BigInt(Math.floor((order.next() * trainOf) / numTrain)),
  );
  return { shape: [steps, batchSize], values };
}

/**
 * Training as one zip file: the network, the weights it began with, the images of its first
 * batches, and the lines of Python that take these steps again.
 */
export function trainingFile(
  options: TrainerOptions,
  w: Weights,
  iterations: number,
  numTrain: number,
  trainOf: number,
): Uint8Array<ArrayBuffer> {
  const a = options.architecture;
  const start = startWeights(a, options.seed, options.start);
  const batches = firstBatches(options, numTrain, trainOf);
  const training = { ...options, weights: start };
  const rates = Float32Array.from({ length: batches.shape[0] }, (_, i) => rateOf(training, i + 1));
  const steps = npz({ batches, rates: { shape: [rates.length], values: rates } });
  const text = (lines: string): Uint8Array => new TextEncoder().encode(lines);
  return zip([
    { name: "network.npz", bytes: checkpointFile(a, w, iterations) },
    { name: "start.npz", bytes: checkpointFile(a, start, 0) },
    { name: "steps.npz", bytes: steps },
    { name: "repeat.py", bytes: text(repeatScript(options)) },
  ]);
}

/** A few lines of Python that take the first steps again, in the folder of the other files. */
export function repeatScript({ labelSmoothing = 0 }: TrainerOptions): string {
  return `import numpy as np
import tensorflow as tf
from mnist_helpers import load_checkpoint, load_mnist
net, steps, train = load_checkpoint("start.npz"), np.load("steps.npz"), load_mnist().train
adam = tf.keras.optimizers.Adam(epsilon=1e-7)
smooth = tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=${labelSmoothing})
for rate, batch in zip(steps["rates"], steps["batches"]):
    adam.learning_rate = rate
    with tf.GradientTape() as tape:
        logits, labels = net(train.images[batch]), tf.one_hot(train.labels[batch], 10)
        loss = smooth(labels, logits)
    adam.apply_gradients(zip(tape.gradient(loss, (w := list(net.weights.values()))), w))
    print(tf.keras.losses.CategoricalCrossentropy(from_logits=True)(labels, logits).numpy())
`;
}

/** A network from a file, with what it is made of. */
export interface GivenNetwork {
  architecture: Architecture;
  weights: Weights;
  iterations: number;
}

/**
 * Reads a network from a `.npz` file, such as `save_checkpoint` or this page writes.
 *
 * @throws {LabError} "damaged" or "invalid", with a sentence that says what is wrong.
 */
export async function readNetwork(bytes: Uint8Array): Promise<GivenNetwork> {
  const arrays = await readNpz(bytes);
  const missing = WEIGHT_NAMES.filter((name) => !(name in arrays));
  if (missing.length > 0) {
    throw new LabError(
      "invalid",
      `This file holds another network: it lacks ${missing.join(", ")}. Write one with save_checkpoint(net, path).`,
    );
  }
  const architecture = architectureOf(arrays);
  const weights = zeroWeights(architecture);
  for (const name of WEIGHT_NAMES) {
    const { shape, values } = arrays[name];
    const expected = shapes(architecture)[name];
    if (shape.join() !== expected.join()) {
      throw new LabError(
        "invalid",
        `This file holds another network: ${name} has shape ${shape.join("×") || "none"}, expected ${expected.join("×")}.`,
      );
    }
    if (!(values instanceof Float32Array) || !values.every(Number.isFinite)) {
      throw new LabError(
        "invalid",
        `This file holds numbers in ${name} that are not finite float32 values.`,
      );
    }
    weights[name].set(values);
  }
  const { values } = arrays["iterations"] ?? {};
  const iterations = values instanceof BigInt64Array && values.length === 1 ? Number(values[0]) : 0;
  return { architecture, weights, iterations: Math.max(0, iterations) };
}

/** What a file's network is made of; the arrays do not tell about pooling, so it is the book's. */
function architectureOf(arrays: Record<string, NpyArray>): Architecture {
  for (const name of WEIGHT_NAMES) {
    const [{ shape }, { length }] = [arrays[name], shapes(BOOK)[name]];
    if (shape.length === length) continue;
    throw new LabError(
      "invalid",
      `This file holds another network: ${name} has shape ${shape.join("×") || "none"}, expected ${length} ${length === 1 ? "axis" : "axes"}.`,
    );
  }
  const [size, , , numFilters1] = arrays["conv1/weights"].shape;
  const numFilters2 = arrays["conv2/weights"].shape[3];
  const fcSize = arrays["fc1/weights"].shape[1];
  const architecture = { filterSize: size, numFilters1, numFilters2, fcSize, pooling: true };
  try {
    checkArchitecture(architecture);
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    throw new LabError("invalid", `This page cannot show the network in this file: ${why}`);
  }
  if (numParameters(architecture) > 4_000_000) {
    throw new LabError("invalid", "The network in this file is too large for this page.");
  }
  return architecture;
}
