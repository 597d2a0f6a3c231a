/** Which images make the next batch, and their pixels as the network takes them. */

import type { Digits } from "./data.ts";
import { IMAGE_SIZE_FLAT } from "./network.ts";
import { randomNumbers, shuffle } from "./random.ts";
import type { Batch } from "./training.ts";

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
  readonly #order: ImageOrder;
  readonly #batch: Batch;

  /** @param taken Batches already taken before training was interrupted. */
  constructor(digits: Digits, batchSize: number, seed: number, taken = 0) {
    this.#digits = digits;
    this.#order = new ImageOrder(digits.labels.length, seed, taken * batchSize);
    this.#batch = {
      images: new Float32Array(batchSize * IMAGE_SIZE_FLAT),
      labels: new Uint8Array(batchSize),
    };
  }

  /** The next batch, in the same arrays each time. */
  next(): Batch {
    const { images, labels } = this.#batch;
    for (let n = 0; n < labels.length; n++) {
      const chosen = this.#order.next();
      const from = chosen * IMAGE_SIZE_FLAT;
      const to = n * IMAGE_SIZE_FLAT;
      for (let i = 0; i < IMAGE_SIZE_FLAT; i++) {
        images[to + i] = this.#digits.images[from + i] / 255;
      }
      labels[n] = this.#digits.labels[chosen];
    }
    return this.#batch;
  }
}

/** The order in which `count` images come, without end. */
export class ImageOrder {
  readonly #seed: number;
  readonly #order: Uint32Array;
  #epoch: number;
  #next: number;

  /** @param taken Images that were taken already. */
  constructor(count: number, seed: number, taken = 0) {
    this.#seed = seed;
    this.#order = new Uint32Array(count);
    this.#epoch = Math.floor(taken / count);
    this.#next = taken % count;
    this.#shuffle();
  }

  next(): number {
    if (this.#next === this.#order.length) {
      this.#epoch += 1;
      this.#next = 0;
      this.#shuffle();
    }
    return this.#order[this.#next++];
  }

  #shuffle(): void {
    this.#order.forEach((_, i) => (this.#order[i] = i));
    shuffle(this.#order, randomNumbers(this.#seed, FIRST_STREAM + this.#epoch));
  }
}
