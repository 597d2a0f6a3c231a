/** Training, seen from the page: a worker does it, so that the page never waits. */

import { LabError, type Problem } from "./errors.ts";
import { openThread, type Thread } from "./local_worker.ts";
import type { Architecture, Weights } from "./network.ts";

export interface TrainerOptions {
  architecture: Architecture;
  /** Adam's; about how far a weight can move in one step. */
  learningRate: number;
  batchSize: number;
  /** Decides the starting weights and the order of the images. */
  seed: number;
  /** The weights to begin with: the book's, where left out, or K. He's. */
  start?: "book" | "he";
  /** Steps of one cycle of the learning rate, in which `learningRate` is then the highest. */
  cycle?: number;
  /** Share of certainty that the loss spreads over all classes; 0 where left out. */
  labelSmoothing?: number;
  /** The digits that came with the page, or all of MNIST, which is fetched then. */
  digits?: "some" | "all";
  /** How many workers share a step: 1, 2 or 4; as many as fit this machine where left out. */
  workers?: number | null;
  /** The step after which it pauses by itself. */
  last?: number;
}

/** What there is to train with. */
export interface TrainerInfo {
  /** What runs the network in the worker. */
  engine: "wasm-simd" | "javascript";
  /** MNIST, or scikit-learn's small set that stands in for it. */
  source: "mnist" | "digits";
  numTrain: number;
  /** Test digits that `testAccuracy` is measured on. */
  numTest: number;
  /** How many workers share a step. */
  workers: number;
  /** Steps that were taken before, where training goes on after a reload. */
  iteration: number;
}

/** How far training has come. While it runs, there is one about every 30 ms. */
export interface Progress {
  /** Steps taken so far. */
  iteration: number;
  /**
   * Mean cross-entropy, in nats, and share of right guesses of the steps since the last
   * report, each for its own batch before the step. For iteration 0: of the first batch.
   */
  loss: number;
  accuracy: number;
  /** Share of the test digits that is right; only now and then, for it takes time. */
  testAccuracy?: number;
  /** How many test digits that was: while it trains on all of MNIST, a part at a time. */
  tested?: number;
  /** The latest guess for each test digit, {@link NO_GUESS} where there is none yet. */
  guesses?: Uint8Array;
  /** The weights as they are: at the start, after a single step or a pause, ten times a second. */
  weights?: Weights;
  /** Time for a step, in milliseconds, without what judging the test digits took. */
  msPerStep: number;
  /** Time that training has taken so far, in seconds, with all looks at test digits, without pauses. */
  seconds: number;
  /** The gradient of one number, the bias of the logit of 0, from each quarter of the last batch. */
  samples: number[];
  /** Whether it came to its last step. */
  finished: boolean;
  /** Whether this browser keeps it, so that it can go on after a reload; said when it is written. */
  kept?: boolean;
}

/** In {@link Progress.guesses}: not looked at yet. */
export const NO_GUESS = 255;

/** Some of the test digits, by their numbers. */
export interface TestDigits {
  /** `[n][784]`, 0 to 255. */
  images: Uint8Array;
  labels: Uint8Array;
}

/** What the page tells the worker. `run` counts the starts. */
export type Order =
  | { type: "start"; run: number; options: TrainerOptions | "kept" }
  | { type: "step" | "run" | "pause" }
  | { type: "show"; run: number; ask: number; digits: number[]; images: boolean };

/** What the worker tells the page. */
export type News =
  | { type: "started"; run: number; info: TrainerInfo }
  | { type: "progress"; run: number; progress: Progress }
  | { type: "loading"; run: number; bytes: number; of: number }
  | { type: "shown"; run: number; ask: number; digits: TestDigits }
  | { type: "failed"; run: number; problem: Problem; message: string };

/** Where the worker's script lies: beside this one. */
const WORKER_URL = new URL("worker.js", import.meta.url);

export class Trainer {
  /** Called with each report. */
  onprogress: (progress: Progress) => void = () => {};
  /** Called while MNIST's files come: bytes so far, and of how many. */
  onloading: (bytes: number, of: number) => void = () => {};
  /** Called when training had to stop; nothing but a new start helps then. */
  onerror: (error: LabError) => void = () => {};

  #worker: Thread | null = null;
  #run = 0;
  #asked = 0;
  readonly #asking = new Map<number, (digits: TestDigits) => void>();
  #starting: { resolve(info: TrainerInfo): void; reject(error: LabError): void } | null = null;

  /**
   * Makes a new network with random weights, and loads the digits if they are not there yet.
   * Whatever ran before is over. Training begins with {@link run} or {@link step}; the first
   * report, of iteration 0, comes at once.
   *
   * @param options `"kept"` to go on with what this browser kept (`saved.ts`).
   * @throws {LabError} "missing" or "damaged" for the files of the digits or of the worker,
   *   "invalid" for a network that cannot be built.
   */
  start(options: TrainerOptions | "kept"): Promise<TrainerInfo> {
    this.#starting?.reject(new LabError("invalid", "Training was started afresh."));
    return new Promise((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.#send({ type: "start", run: ++this.#run, options });
    });
  }

  /** Takes one step, then waits. */
  step(): void {
    this.#send({ type: "step" });
  }

  /** Takes one step after the other. */
  run(): void {
    this.#send({ type: "run" });
  }

  /** Waits, after a report with everything; {@link run} goes on from there. */
  pause(): void {
    this.#send({ type: "pause" });
  }

  /** Gives some of the test digits that it is tested on; without `images` only their labels. */
  show(digits: number[], images = true): Promise<TestDigits> {
    const ask = ++this.#asked;
    return new Promise((resolve) => {
      this.#asking.set(ask, resolve);
      this.#send({ type: "show", run: this.#run, ask, digits, images });
    });
  }

  /** Ends the worker and gives its memory back. */
  close(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }

  #send(order: Order): void {
    this.#worker ??= this.#newWorker();
    this.#worker.postMessage(order);
  }

  #newWorker(): Thread {
    const worker = openThread(WORKER_URL);
    worker.onmessage = (event: MessageEvent<News>) => this.#receive(event.data);
    // No message of its own means that the script could not be loaded.
    worker.onerror = (event) => {
      event.preventDefault();
      const why = event.message ? `stopped: ${event.message}` : "could not be loaded";
      this.close();
      this.#fail(new LabError("missing", `worker.js, which trains the network, ${why}.`));
    };
    return worker;
  }

  #receive(news: News): void {
    // What still comes from an earlier start is of no interest.
    if (news.run !== this.#run) return;
    if (news.type === "started") {
      this.#starting?.resolve(news.info);
      this.#starting = null;
    } else if (news.type === "progress") {
      this.onprogress(news.progress);
    } else if (news.type === "loading") {
      this.onloading(news.bytes, news.of);
    } else if (news.type === "shown") {
      this.#asking.get(news.ask)?.(news.digits);
      this.#asking.delete(news.ask);
    } else {
      this.#fail(new LabError(news.problem, news.message));
    }
  }

  #fail(error: LabError): void {
    if (this.#starting !== null) this.#starting.reject(error);
    else this.onerror(error);
    this.#starting = null;
  }
}
