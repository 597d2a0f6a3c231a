/** One network in training, in its worker: steps, looks at the test digits, reports. */

import { Batches, toBatch } from "./batches.ts";
import type { Digits } from "./data.ts";
import { LabError } from "./errors.ts";
import { IMAGE_SIZE_FLAT, WEIGHT_NAMES } from "./network.ts";
import { keepTraining } from "./saved.ts";
import type { Team } from "./team.ts";
import { NO_GUESS, type Progress, type TestDigits, type TrainerOptions } from "./trainer.ts";
import { evaluate, type Judgement } from "./training.ts";

/** Milliseconds between two reports, between two with all weights, and until the network is kept again. */
const REPORT_EVERY = 30;
const WEIGHTS_EVERY = 100;
const KEEP_EVERY = 10_000;
/** Looking at the test digits may take one part in this many of the time. */
const TEST_SHARE = 10;
/** Test digits in one look while it trains; all of them when it pauses. */
const ONE_LOOK = 1000;

export class Session {
  readonly #batches: Batches;
  readonly #guesses: Uint8Array<ArrayBuffer>;
  /** What is done now: orders wait for it. */
  #busy: Promise<void> = Promise.resolve();
  #running = false;
  #ended = false;
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
  #lastKept = performance.now();
  #testTook = 0;
  /** Where the next look at the test digits begins. */
  #next = 0;

  /**
   * @param seconds What training took before it was interrupted.
   * @param tell Takes a report, with the buffers that can be handed over.
   */
  constructor(
    private readonly options: TrainerOptions,
    private readonly team: Team,
    train: Digits,
    private readonly test: Digits,
    private seconds: number,
    private readonly tell: (progress: Progress, transfer: Transferable[]) => void,
  ) {
    const { batchSize, seed } = options;
    this.#batches = new Batches(train, batchSize, seed, team.steps);
    this.#guesses = new Uint8Array(test.labels.length).fill(NO_GUESS);
    const first = new Batches(train, batchSize, seed, team.steps).next();
    this.#mean = evaluate(team.learner, first);
    this.#report(true, Math.min(ONE_LOOK, test.labels.length));
  }

  /** Takes one step after the other, until it is told otherwise or comes to the last one. */
  run(): Promise<void> {
    if (!this.#running) {
      this.#running = true;
      this.#busy = this.#busy.then(() => this.#runOn());
    }
    return this.#busy;
  }

  async #runOn(): Promise<void> {
    try {
      while (this.#running && !this.#ended) {
        const start = performance.now();
        await this.#step(false);
        await breathe();
        this.seconds += (performance.now() - start) / 1000;
        if (this.team.steps === this.options.last) await this.#stop(true);
      }
    } catch (error) {
      this.#ended = true;
      throw error;
    }
  }

  /** Takes one step, then waits. */
  async stepOnce(): Promise<void> {
    if (!(await this.#rest())) return;
    const start = performance.now();
    await this.#step(true);
    this.seconds += (performance.now() - start) / 1000;
  }

  /** Waits, after a report of everything. */
  async pause(): Promise<void> {
    if (!this.#running || !(await this.#rest())) return;
    // It may have come to its last step in the meantime, and said so.
    if (this.team.steps !== this.options.last) await this.#stop(false);
  }

  /** Lets the current step finish; `false` if it was ended for good meanwhile. */
  async #rest(): Promise<boolean> {
    this.#running = false;
    // What went wrong there was reported by whoever let it run.
    await this.#busy.catch(() => {});
    return !this.#ended;
  }

  /** Ends it for good. */
  end(): void {
    this.#ended = true;
    this.#running = false;
    this.team.close();
  }

  show(digits: number[], withImages: boolean): TestDigits {
    const { images, labels } = this.test;
    const chosen = digits.filter((digit) => digit < labels.length);
    const shown = new Uint8Array(withImages ? chosen.length * IMAGE_SIZE_FLAT : 0);
    if (withImages)
      chosen.forEach((digit, n) => {
        const from = digit * IMAGE_SIZE_FLAT;
        shown.set(images.subarray(from, from + IMAGE_SIZE_FLAT), n * IMAGE_SIZE_FLAT);
      });
    return { images: shown, labels: Uint8Array.from(chosen, (digit) => labels[digit]) };
  }

  async #step(always: boolean): Promise<void> {
    const start = performance.now();
    const { loss, accuracy } = await this.team.step(this.#batches.next());
    if (this.#ended) return;
    const now = performance.now();
    this.#steps += 1;
    this.#time += now - start;
    this.#loss += loss;
    this.#accuracy += accuracy;
    if (!Number.isFinite(loss)) {
      throw new LabError(
        "diverged",
        `At step ${this.team.steps} the loss is no longer a number: training has diverged. ` +
          `Start again with a smaller learning rate (it was ${this.options.learningRate}).`,
      );
    }
    if (now - this.#lastKept >= KEEP_EVERY) this.#keep();
    if (!always && now - this.#lastReport < REPORT_EVERY) return;
    const test = always || now - this.#lastTest >= TEST_SHARE * this.#testTook;
    const weights = always || now - this.#lastWeights >= WEIGHTS_EVERY;
    this.#report(weights, test ? Math.min(ONE_LOOK, this.#guesses.length) : 0);
  }

  /** Looks at all test digits, keeps the network and says so. */
  async #stop(finished: boolean): Promise<void> {
    this.#running = false;
    const tested = this.#guesses.length;
    const start = performance.now();
    this.#next = 0;
    const { accuracy } = this.#look(tested);
    this.seconds += (performance.now() - start) / 1000;
    const kept = await this.#keep();
    const guesses = this.#guesses.slice();
    this.#report(true, 0, { finished, kept, testAccuracy: accuracy, tested, guesses });
  }

  #keep(): Promise<boolean> {
    this.#lastKept = performance.now();
    const { learner, steps } = this.team;
    return keepTraining({
      options: this.options,
      iteration: steps,
      seconds: this.seconds,
      weights: learner.weights(),
      ...learner.memory(),
    });
  }

  /** Looks at the next `count` test digits. */
  #look(count: number): Judgement {
    const start = performance.now();
    if (this.#next + count > this.#guesses.length) this.#next = 0;
    const [from, to] = [this.#next, this.#next + count];
    let [loss, correct] = [0, 0];
    // In parts: as numbers they take four times the room.
    for (let at = from; at < to; at += ONE_LOOK) {
      const end = Math.min(at + ONE_LOOK, to);
      const { images, labels } = this.test;
      const part = toBatch({
        images: images.subarray(at * IMAGE_SIZE_FLAT, end * IMAGE_SIZE_FLAT),
        labels: labels.subarray(at, end),
      });
      const found = this.team.learner.guesses(part);
      this.#guesses.set(found.guesses, at);
      loss += found.loss * (end - at);
      correct += found.guesses.filter((guessed, n) => guessed === part.labels[n]).length;
    }
    this.#next = to % this.#guesses.length;
    this.#lastTest = performance.now();
    this.#testTook = this.#lastTest - start;
    return { loss: loss / count, accuracy: correct / count };
  }

  /** @param test How many test digits to look at first. */
  #report(withWeights: boolean, test: number, more: Partial<Progress> = {}): void {
    if (this.#steps > 0) {
      this.#msPerStep = this.#time / this.#steps;
      this.#mean = { loss: this.#loss / this.#steps, accuracy: this.#accuracy / this.#steps };
      this.#steps = this.#time = this.#loss = this.#accuracy = 0;
    }
    const progress: Progress = {
      iteration: this.team.steps,
      ...this.#mean,
      msPerStep: this.#msPerStep,
      seconds: this.seconds,
      samples: this.team.sums.map(({ sample }) => sample),
      finished: false,
      ...more,
    };
    const transfer: Transferable[] = [];
    if (test > 0) {
      progress.testAccuracy = this.#look(test).accuracy;
      progress.tested = test;
      progress.guesses = this.#guesses.slice();
      transfer.push(progress.guesses.buffer as ArrayBuffer);
    }
    this.#lastReport = performance.now();
    if (withWeights) {
      const weights = this.team.learner.weights();
      progress.weights = weights;
      this.#lastWeights = this.#lastReport;
      for (const name of WEIGHT_NAMES) transfer.push(weights[name].buffer as ArrayBuffer);
    }
    this.tell(progress, transfer);
  }
}

/** Lets orders that came in the meantime have their turn, sooner than `setTimeout` would. */
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
