/** Which images make the next batch, and their pixels as the network takes them. */

import type { Digits } from "./data.ts";
import { type Batch, IMAGE_SIZE_FLAT } from "./network.ts";
import { randomNumbers, shuffle } from "./random.ts";

/** Streams of random numbers below this one are the weights'. */
const FIRST_STREAM = 1000;

/** Bytes 0 to 255 into numbers 0 to 1. */
export function toBatch(digits: Digits): Batch {
  return { images: Float32Array.from(digits.images, (byte) => byte / 255), labels: digits.labels };
}

/**
 * Batches without end. The images come in a random order, each once before any comes again;
 * then in another random order, and so on. What does not fill a batch at the end of one epoch
 * begins the next epoch's first.
 */
export class Batches {
  readonly #digits: Digits;
  readonly #seed: number;
  readonly #order: Uint32Array;
  readonly #batch: Batch;
  #epoch = -1;
  #next: number;

  constructor(digits: Digits, batchSize: number, seed: number) {
    this.#digits = digits;
    this.#seed = seed;
    this.#order = new Uint32Array(digits.labels.length);
    this.#next = this.#order.length;
    this.#batch = {
      images: new Float32Array(batchSize * IMAGE_SIZE_FLAT),
      labels: new Uint8Array(batchSize),
    };
  }

  /** The next batch, in the same arrays each time. */
  next(): Batch {
    const { images, labels } = this.#batch;
    for (let n = 0; n < labels.length; n++) {
      const chosen = this.#nextImage();
      const from = chosen * IMAGE_SIZE_FLAT;
      const to = n * IMAGE_SIZE_FLAT;
      for (let i = 0; i < IMAGE_SIZE_FLAT; i++) {
        images[to + i] = this.#digits.images[from + i] / 255;
      }
      labels[n] = this.#digits.labels[chosen];
    }
    return this.#batch;
  }

  #nextImage(): number {
    if (this.#next === this.#order.length) {
      this.#epoch += 1;
      this.#next = 0;
      this.#order.forEach((_, i) => (this.#order[i] = i));
      shuffle(this.#order, randomNumbers(this.#seed, FIRST_STREAM + this.#epoch));
    }
    return this.#order[this.#next++];
  }
}
