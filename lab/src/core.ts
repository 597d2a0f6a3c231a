/** The network without the page: everything that the tests, or a curious reader, may call. */

export * from "./batches.ts";
export * from "./data.ts";
export * from "./engine.ts";
export * from "./errors.ts";
export * from "./network.ts";
export { prepare } from "./photo/prepare.ts";
export * from "./random.ts";
export * from "./small.ts";
export * from "./trainer.ts";
export { centre, scanOf } from "./ui/centre.ts";
export { EXAMPLES } from "./ui/examples.ts";
