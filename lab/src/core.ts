/** The network without the page: everything that the tests, or a curious reader, may call. */

export * from "./errors.ts";
export * from "./network.ts";
export * from "./engine.ts";
