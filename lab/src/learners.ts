/**
 * Makes what trains a network: on top of the engine's kernels, or in plain arithmetic without them.
 * Kept apart from the engine, so that the page's script, which leaves training to a worker, need not
 * carry it.
 */

import type { Engine } from "./engine.ts";
import { FastLearner } from "./fast_training.ts";
import {
  type Learner,
  type Training,
  type TrainingOptions,
  LoneTraining,
  PlainLearner,
} from "./training.ts";

/** Makes a learner; `module` holds the kernels, null where there are none. */
export async function newLearner(
  module: WebAssembly.Module | null,
  options: TrainingOptions,
): Promise<Learner> {
  if (module === null) return new PlainLearner(options);
  return new FastLearner(await WebAssembly.instantiate(module), options);
}

/** Makes a network to be trained. @throws {LabError} "invalid" for impossible choices. */
export async function newTraining(engine: Engine, options: TrainingOptions): Promise<Training> {
  return new LoneTraining(await newLearner(engine.module, options), options);
}
