/** Training, seen from the worker that does it. What it says and hears is in `trainer.ts`. */

import { Batches, toBatch } from "./batches.ts";
import { type DigitSets, loadDigits } from "./data.ts";
import { Engine } from "./engine.ts";
import { LabError } from "./errors.ts";
import {
  type Batch,
  checkArchitecture,
  IMAGE_SIZE_FLAT,
  initialWeights,
  type Judgement,
  type Training,
  WEIGHT_NAMES,
  type Weights,
} from "./network.ts";
import type { News, Order, Progress, TrainerOptions } from "./trainer.ts";

/** Milliseconds between two reports, and between two of them with all weights. */
const REPORT_EVERY = 30;
const WEIGHTS_EVERY = 100;
/** Judging the test digits may take one part in so many of the time. */
const TEST_SHARE = 10;
/** Plain JavaScript would need seconds to judge more. */
const MOST_TEST_DIGITS = { "wasm-simd": 1000, javascript: 200 };

/** The part of a worker's global scope that is used here. */
interface Scope {
  onmessage: ((event: MessageEvent<Order>) => void) | null;
  postMessage(news: News, transfer: Transferable[]): void;
}
const scope = self as unknown as Scope;

/** One network in training, from its start to the next start. */
class Session {
  readonly #run: number;
  readonly #training: Training;
  readonly #batches: Batches;
  readonly #test: Batch;
  readonly #options: TrainerOptions;

  running = false;
  #iteration = 0;
  // Sums since the last report, and what that report said.
  #steps = 0;
  #loss = 0;
  #accuracy = 0;
  #time = 0;
  #mean: Judgement;
  #msPerStep = 0;
  #lastReport = 0;
  #lastWeights = 0;
  #lastTest = 0;
  #testTook = 0;

  constructor(
    run: number,
    options: TrainerOptions,
    training: Training,
    sets: DigitSets,
    test: Batch,
  ) {
    this.#run = run;
    this.#options = options;
    this.#training = training;
    this.#batches = new Batches(sets.train, options.batchSize, options.seed);
    this.#test = test;
    const first = new Batches(sets.train, options.batchSize, options.seed).next();
    this.#mean = training.evaluate(first);
    this.#report(true, true);
  }

  /** Takes a step, and reports it if it is time, or if `always`. */
  step(always: boolean): void {
    const start = performance.now();
    const { loss, accuracy } = this.#training.step(this.#batches.next());
    const now = performance.now();
    this.#iteration += 1;
    this.#steps += 1;
    this.#time += now - start;
    this.#loss += loss;
    this.#accuracy += accuracy;
    if (!Number.isFinite(loss)) {
      throw new LabError(
        "diverged",
        `At step ${this.#iteration} the loss is no longer a number: training went astray. ` +
          `Start again with a smaller learning rate (it was ${this.#options.learningRate}).`,
      );
    }
    if (always || now - this.#lastReport >= REPORT_EVERY) {
      const test = now - this.#lastTest >= TEST_SHARE * this.#testTook;
      this.#reportSteps(always || now - this.#lastWeights >= WEIGHTS_EVERY, test);
    }
  }

  pause(): void {
    if (this.running) this.#reportSteps(true, true);
    this.running = false;
  }

  #reportSteps(withWeights: boolean, withTest: boolean): void {
    if (this.#steps > 0) {
      this.#msPerStep = this.#time / this.#steps;
      this.#mean = { loss: this.#loss / this.#steps, accuracy: this.#accuracy / this.#steps };
      this.#steps = this.#time = this.#loss = this.#accuracy = 0;
    }
    this.#report(withWeights, withTest);
  }

  #report(withWeights: boolean, withTest: boolean): void {
    const progress: Progress = {
      iteration: this.#iteration,
      ...this.#mean,
      msPerStep: this.#msPerStep,
    };
    if (withTest) {
      const start = performance.now();
      progress.testAccuracy = this.#training.evaluate(this.#test).accuracy;
      this.#lastTest = performance.now();
      this.#testTook = this.#lastTest - start;
    }
    this.#lastReport = performance.now();
    const transfer: Transferable[] = [];
    if (withWeights) {
      const weights: Weights = this.#training.weights();
      progress.weights = weights;
      this.#lastWeights = this.#lastReport;
      for (const name of WEIGHT_NAMES) transfer.push(weights[name].buffer as ArrayBuffer);
    }
    scope.postMessage({ type: "progress", run: this.#run, progress }, transfer);
  }
}

let engine: Promise<Engine> | null = null;
let digits: Promise<DigitSets> | null = null;
let session: Session | null = null;
/** The start that is in force, and the promise that it is done. */
let currentRun = 0;
let starting: Promise<void> = Promise.resolve();

async function start(run: number, options: TrainerOptions): Promise<void> {
  currentRun = run;
  session = null;
  checkOptions(options);
  engine ??= Engine.load();
  // A load that failed is tried again at the next start.
  digits ??= loadDigits().catch((error: unknown) => {
    digits = null;
    throw error;
  });
  // Both at once: where the kernels came later, `digits` would already be forgotten again.
  const [kernels, sets] = await Promise.all([engine, digits]);
  const { kind } = kernels;
  const { architecture, learningRate, batchSize, seed } = options;
  const weights = initialWeights(architecture, seed);
  const training = await kernels.training({ architecture, weights, learningRate, batchSize });
  // Another start may have come in the meantime.
  if (run !== currentRun) return;
  const numTest = Math.min(MOST_TEST_DIGITS[kind], sets.test.labels.length);
  const test = toBatch({
    images: sets.test.images.subarray(0, numTest * IMAGE_SIZE_FLAT),
    labels: sets.test.labels.subarray(0, numTest),
  });
  const info = {
    engine: kind,
    source: sets.source,
    numTrain: sets.train.labels.length,
    numTest,
  };
  scope.postMessage({ type: "started", run, info }, []);
  session = new Session(run, options, training, sets, test);
}

function checkOptions({ architecture, learningRate, batchSize }: TrainerOptions): void {
  checkArchitecture(architecture);
  if (!(learningRate > 0 && Number.isFinite(learningRate))) {
    throw new LabError("invalid", `The learning rate is ${learningRate}: it must be above 0.`);
  }
  if (!(Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= 256)) {
    throw new LabError("invalid", `The batch size is ${batchSize}: it must be one of 1 … 256.`);
  }
}

/** Gives orders that came in the meantime their turn; sooner than `setTimeout` would. */
function breathe(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

async function obey(order: Order): Promise<void> {
  if (order.type === "start") {
    starting = start(order.run, order.options);
    return starting;
  }
  // What was ordered while a network was being made is meant for that network, and for no later one.
  const own = currentRun;
  await starting.catch(() => {});
  if (own !== currentRun) return;
  if (order.type === "run") return run();
  session?.pause();
  if (order.type === "step") session?.step(true);
}

async function run(): Promise<void> {
  const own = session;
  if (own === null || own.running) return;
  own.running = true;
  while (own.running && own === session) {
    own.step(false);
    await breathe();
  }
}

scope.onmessage = ({ data: order }) => {
  obey(order).catch((error: unknown) => {
    const run = "run" in order ? order.run : currentRun;
    if (run === currentRun) session = null;
    const known = error instanceof LabError;
    const news: News = {
      type: "failed",
      run,
      problem: known ? error.problem : "unsupported",
      message: error instanceof Error ? error.message : String(error),
    };
    scope.postMessage(news, []);
  });
};
