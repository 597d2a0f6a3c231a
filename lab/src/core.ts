/** The network without the page: everything that the tests, or a curious reader, may call. */

export * from "./attribution.ts";
export * from "./batches.ts";
export * from "./data.ts";
export * from "./engine.ts";
export * from "./errors.ts";
export * from "./gradients.ts";
export * from "./learners.ts";
export * from "./mnist.ts";
export * from "./network.ts";
export * from "./npz.ts";
export { prepare } from "./photo/prepare.ts";
export * from "./random.ts";
export * from "./saved.ts";
export * from "./sha256.ts";
export * from "./small.ts";
export * from "./take_home.ts";
export { Pace } from "./team.ts";
export * from "./trainer.ts";
export * from "./training.ts";
export { centre, scanOf } from "./ui/centre.ts";
export { EXAMPLES } from "./ui/examples.ts";
