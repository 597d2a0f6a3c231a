/**
 * One step of training, by several workers: each computes the gradient of some of the batch's four
 * quarters, and one of them adds these up and takes the step.
 *
 * What travels is one array of a megabyte: the weights on the way out, the gradient on the way
 * back. It is handed over, not copied, so that no memory need be shared, which hosts
 * would have to allow.
 */

import { newLearner } from "./learners.ts";
import { IMAGE_SIZE_FLAT } from "./network.ts";
import {
  type Batch,
  type Judgement,
  type Learner,
  type Sums,
  type TrainingOptions,
  halfOf,
  meanOf,
  quartersOf,
  rateOf,
} from "./training.ts";

/** How many may work together: the quarters are shared out evenly. */
export const TEAM_SIZES = [1, 2, 4] as const;

/** As many workers as the processors are good for, with something left for the page. */
export function bestTeamSize(processors: number): number {
  return processors >= 6 ? 4 : processors >= 2 ? 2 : 1;
}

/**
 * Finds out whether sharing pays: where the processors have other things to do, waiting for a helper
 * may take longer than computing its part. The weights are the same either way.
 */
export class Pace {
  /** Steps in a trial of each way, and steps after which both are tried again. */
  static readonly TRIAL = 6;
  static readonly AGAIN = 300;
  #step = 0;
  #shared = 0;
  #alone = 0;

  /** Whether the next step should be shared. */
  get shares(): boolean {
    if (this.#step < Pace.TRIAL) return true;
    return this.#step >= 2 * Pace.TRIAL && this.#shared <= this.#alone;
  }

  /** Takes note of how long a step took, in milliseconds. */
  took(time: number): void {
    if (this.#step === 0) this.#shared = this.#alone = 0;
    if (this.#step < Pace.TRIAL) this.#shared += time;
    else if (this.#step < 2 * Pace.TRIAL) this.#alone += time;
    this.#step = (this.#step + 1) % Pace.AGAIN;
  }
}

/** What a helper is told. */
export type HelperOrder =
  | { type: "join"; module: WebAssembly.Module | null; options: TrainingOptions }
  | {
      type: "share";
      parameters: Float32Array;
      images: Float32Array;
      labels: Uint8Array;
      /** Images in each of its quarters. */
      sizes: number[];
      scale: number;
    };

/** What it answers. */
export type HelperNews =
  | { type: "joined" }
  | { type: "sum"; sums: Sums[]; gradient: Float32Array }
  | { type: "unable"; message: string };

/** A worker that helps, seen from the one that it helps. */
class Helper {
  readonly #worker: Worker;
  #parameters: Float32Array | undefined;
  #resolve: (news: HelperNews) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(url: URL) {
    this.#worker = new Worker(url, { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<HelperNews>) => {
      if (data.type === "unable") this.#reject(new Error(data.message));
      else this.#resolve(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#reject(new Error(event.message || "a helper could not be loaded"));
    };
  }

  #ask(order: HelperOrder, transfer: Transferable[]): Promise<HelperNews> {
    return new Promise((resolve, reject) => {
      [this.#resolve, this.#reject] = [resolve, reject];
      this.#worker.postMessage(order, transfer);
    });
  }

  async join(module: WebAssembly.Module | null, options: TrainingOptions): Promise<void> {
    await this.#ask({ type: "join", module, options }, []);
  }

  /** Sends weights and quarters. The same array then brings the gradient back. */
  async share(learner: Learner, quarters: Batch[], scale: number): Promise<[Sums[], Float32Array]> {
    const parameters = learner.parameters(this.#parameters);
    const sizes = quarters.map(({ labels }) => labels.length);
    const count = sizes.reduce((sum, one) => sum + one, 0);
    const images = new Float32Array(count * IMAGE_SIZE_FLAT);
    const labels = new Uint8Array(count);
    let at = 0;
    for (const quarter of quarters) {
      images.set(quarter.images, at * IMAGE_SIZE_FLAT);
      labels.set(quarter.labels, at);
      at += quarter.labels.length;
    }
    const order: HelperOrder = { type: "share", parameters, images, labels, sizes, scale };
    const news = await this.#ask(order, [
      parameters.buffer as ArrayBuffer,
      images.buffer,
      labels.buffer,
    ]);
    if (news.type !== "sum") throw new Error("a helper gave no gradient");
    this.#parameters = news.gradient;
    return [news.sums, news.gradient];
  }

  close(): void {
    this.#worker.terminate();
  }
}

/** A network in training by a team; `learner` is the one that takes the steps. */
export class Team {
  /** Steps taken so far. */
  steps = 0;
  /** How the last step's gradient was made of its quarters'. */
  sums: Sums[] = [];
  readonly #helpers: Helper[] = [];

  /** @param pace Whether a step is shared; without it all are. */
  constructor(
    readonly learner: Learner,
    private readonly options: TrainingOptions,
    private readonly pace: Pace | null = null,
  ) {}

  get size(): number {
    return this.#helpers.length + 1;
  }

  /** Takes in helpers, all that are asked for or none: where they cannot be had, it works alone. */
  async grow(size: number, url: URL, module: WebAssembly.Module | null): Promise<void> {
    if (typeof Worker === "undefined") return;
    const helpers: Helper[] = [];
    try {
      for (let i = 1; i < size; i++) helpers.push(new Helper(url));
      await Promise.all(helpers.map((helper) => helper.join(module, this.options)));
      this.#helpers.push(...helpers);
    } catch {
      for (const helper of helpers) helper.close();
    }
  }

  /** Takes one step; judges the batch as it was before it. */
  async step(batch: Batch): Promise<Judgement> {
    const start = performance.now();
    const { length } = batch.labels;
    const quarters = quartersOf(batch);
    const helpers = this.pace && !this.pace.shares ? [] : this.#helpers;
    const share = 4 / (helpers.length + 1);
    const asked = helpers.map((helper, i) => {
      const own = quarters.slice((i + 1) * share, (i + 2) * share);
      return helper.share(this.learner, own, 1 / length);
    });
    this.learner.clear();
    this.sums = quarters
      .slice(0, share)
      .map((quarter, i) => this.learner.learn(quarter, 1 / length, halfOf(i)));
    const answers = await Promise.all(asked);
    answers.forEach(([sums, gradient], i) => {
      this.learner.add(halfOf((i + 1) * share), gradient);
      this.sums.push(...sums);
    });
    this.steps += 1;
    this.learner.descend(rateOf(this.options, this.steps), this.steps);
    this.pace?.took(performance.now() - start);
    return meanOf(this.sums, length);
  }

  /** Ends the helpers. */
  close(): void {
    for (const helper of this.#helpers.splice(0)) helper.close();
  }
}

/** The helper's own side: answers orders, one after the other. */
export class HelperSide {
  #learner: Learner | null = null;

  async obey(order: HelperOrder): Promise<[HelperNews, Transferable[]]> {
    try {
      if (order.type === "join") {
        this.#learner = await newLearner(order.module, order.options);
        return [{ type: "joined" }, []];
      }
      const learner = this.#learner!;
      learner.setParameters(order.parameters);
      learner.clear();
      let at = 0;
      const sums = order.sizes.map((size) => {
        const [from, to] = [at, (at += size)];
        const quarter = {
          images: order.images.subarray(from * IMAGE_SIZE_FLAT, to * IMAGE_SIZE_FLAT),
          labels: order.labels.subarray(from, to),
        };
        return learner.learn(quarter, order.scale, 0);
      });
      const gradient = learner.sum(0, order.parameters);
      return [{ type: "sum", sums, gradient }, [gradient.buffer as ArrayBuffer]];
    } catch (error) {
      return [{ type: "unable", message: String(error) }, []];
    }
  }
}
