/** Training, seen from the worker that does it. What it says and hears is in `trainer.ts`. */

import { type DigitSets, loadDigits } from "./data.ts";
import { Engine } from "./engine.ts";
import { LabError } from "./errors.ts";
import { newLearner } from "./learners.ts";
import { loadMnist } from "./mnist.ts";
import { checkArchitecture, IMAGE_SIZE_FLAT, startWeights } from "./network.ts";
import { keptTraining, type SavedTraining } from "./saved.ts";
import { Session } from "./session.ts";
import { bestTeamSize, HelperSide, type HelperOrder, Pace, Team, TEAM_SIZES } from "./team.ts";
import type { News, Order, TrainerOptions } from "./trainer.ts";

/** Plain JavaScript would need seconds to judge more. */
const MOST_TEST_DIGITS = { "wasm-simd": 10_000, javascript: 200 };

/** The part of a worker's global scope that is used here. */
interface Scope {
  onmessage: ((event: MessageEvent<Order | HelperOrder>) => void) | null;
  postMessage(news: unknown, transfer: Transferable[]): void;
}
const scope = self as unknown as Scope;
const tell = (news: News, transfer: Transferable[] = []): void => scope.postMessage(news, transfer);

let engine: Promise<Engine> | null = null;
let some: Promise<DigitSets> | null = null;
let all: Promise<DigitSets> | null = null;
let session: Session | null = null;
/** The start that is in force, and the promise that it is done. */
let currentRun = 0;
let starting: Promise<void> = Promise.resolve();

/** The digits to train on; a load that failed is tried again at the next start. */
async function digitsFor(run: number, options: TrainerOptions): Promise<DigitSets> {
  some ??= loadDigits().catch((error: unknown) => {
    some = null;
    throw error;
  });
  if (options.digits !== "all") return some;
  const { mnistBytes = 0 } = await some;
  // The page then says how many digits it learns from.
  if (mnistBytes === 0) return some;
  all ??= loadMnist((bytes) => tell({ type: "loading", run, bytes, of: mnistBytes })).catch(
    (error: unknown) => {
      all = null;
      throw error;
    },
  );
  return all;
}

async function start(run: number, order: TrainerOptions | "kept"): Promise<void> {
  currentRun = run;
  session?.end();
  session = null;
  let kept: SavedTraining | null = null;
  if (order === "kept") {
    kept = await keptTraining();
    if (kept === null)
      throw new LabError("missing", "This browser has no saved training. Start afresh.");
  }
  const options = order === "kept" ? kept!.options : order;
  checkOptions(options);
  engine ??= Engine.load();
  // Both at once: where the kernels came later, a failed load would already be forgotten again.
  const [kernels, sets] = await Promise.all([engine, digitsFor(run, options)]);
  const { architecture, seed } = options;
  const weights = kept?.weights ?? startWeights(architecture, seed, options.start);
  const training = { ...options, weights };
  const team = new Team(
    await newLearner(kernels.module, training),
    training,
    options.workers == null ? new Pace() : null,
  );
  const size = options.workers ?? bestTeamSize(navigator.hardwareConcurrency);
  await team.grow(size, new URL("worker.js", import.meta.url), kernels.module);
  // Another start may have come in the meantime.
  if (run !== currentRun) return team.close();
  if (kept) {
    team.learner.setMemory(kept);
    team.steps = kept.iteration;
  }
  const numTest = Math.min(MOST_TEST_DIGITS[kernels.kind], sets.test.labels.length);
  const info = {
    engine: kernels.kind,
    source: sets.source,
    numTrain: sets.train.labels.length,
    numTest,
    workers: team.size,
    iteration: team.steps,
  };
  tell({ type: "started", run, info });
  const test = {
    images: sets.test.images.subarray(0, numTest * IMAGE_SIZE_FLAT),
    labels: sets.test.labels.subarray(0, numTest),
  };
  session = new Session(options, team, sets.train, test, kept?.seconds ?? 0, (progress, transfer) =>
    tell({ type: "progress", run, progress }, transfer),
  );
}

function checkOptions({ architecture, learningRate, batchSize, workers }: TrainerOptions): void {
  checkArchitecture(architecture);
  if (!(learningRate > 0 && Number.isFinite(learningRate))) {
    throw new LabError("invalid", `The learning rate is ${learningRate}: it must be above 0.`);
  }
  if (!(Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= 256)) {
    throw new LabError("invalid", `The batch size is ${batchSize}: it must be from 1 to 256.`);
  }
  if (workers != null && !TEAM_SIZES.some((size) => size === workers)) {
    throw new LabError("invalid", `The number of workers is ${workers}: it must be 1, 2 or 4.`);
  }
}

async function obey(order: Order): Promise<void> {
  if (order.type === "start") {
    starting = start(order.run, order.options);
    return starting;
  }
  // What was ordered while a network was being made is meant for that network, and for no later one.
  const own = currentRun;
  await starting.catch(() => {});
  if (own !== currentRun || session === null) return;
  switch (order.type) {
    case "run":
      return session.run();
    case "step":
      return session.stepOnce();
    case "pause":
      return session.pause();
    case "show": {
      const digits = session.show(order.digits, order.images);
      tell({ type: "shown", run: order.run, ask: order.ask, digits });
    }
  }
}

/** This worker, where it helps another one. */
let helper: HelperSide | null = null;

scope.onmessage = ({ data: order }) => {
  if (order.type === "join" || order.type === "share") {
    helper ??= new HelperSide();
    void helper.obey(order).then(([news, transfer]) => scope.postMessage(news, transfer));
    return;
  }
  obey(order).catch((error: unknown) => {
    const run = "run" in order ? order.run : currentRun;
    if (run === currentRun) {
      session?.end();
      session = null;
    }
    const known = error instanceof LabError;
    tell({
      type: "failed",
      run,
      problem: known ? error.problem : "unsupported",
      message: error instanceof Error ? error.message : String(error),
    });
  });
};
