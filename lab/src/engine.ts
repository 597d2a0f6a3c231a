/** Chooses what runs the network: WebAssembly with SIMD, or plain JavaScript where it must. */

import { LabError } from "./errors.ts";
import { FOLDER, readFile } from "./files.ts";
import { FastNetwork } from "./fast.ts";
import { type Activations, type Architecture, type Weights, forward } from "./network.ts";

/** The compiled kernels. */
const WASM = "network.wasm";

export class Engine {
  /** What runs the network. */
  readonly kind: "wasm-simd" | "javascript";
  /** Why it is not WebAssembly, for whoever wants to know; null if it is. */
  readonly reason: string | null;

  /** The compiled kernels, for whoever needs an instance of their own. */
  readonly module: WebAssembly.Module | null;
  readonly #instance: WebAssembly.Instance | null;
  #network: FastNetwork | null = null;

  private constructor(source: WebAssembly.WebAssemblyInstantiatedSource | string) {
    const fast = typeof source !== "string";
    this.kind = fast ? "wasm-simd" : "javascript";
    this.reason = fast ? null : source;
    this.module = fast ? source.module : null;
    this.#instance = fast ? source.instance : null;
  }

  /**
   * Loads the kernels. Where that fails (an old browser, a policy that forbids WebAssembly, no
   * file) the plain version takes over: slower, with the same results. Never rejects.
   */
  static async load(folder: URL = FOLDER): Promise<Engine> {
    try {
      if (typeof WebAssembly === "undefined") {
        throw new LabError("unsupported", "this browser has no WebAssembly");
      }
      // Not instantiateStreaming(): some hosts serve .wasm as another type.
      return new Engine(await WebAssembly.instantiate(await readFile(WASM, folder)));
    } catch (error) {
      return Engine.plain(error instanceof Error ? error.message : String(error));
    }
  }

  /** The plain version. */
  static plain(reason = "it was asked for"): Engine {
    return new Engine(reason);
  }

  /**
   * Runs one image (784 numbers from 0 to 1) through the network and returns every number
   * of every layer, in new arrays. Weights may be changed in place between two calls.
   *
   * @throws {LabError} "invalid" if there cannot be such a network.
   */
  forward(a: Architecture, w: Weights, image: Float32Array): Activations {
    if (this.#instance === null) return forward(a, w, image);
    if (this.#network === null || !this.#network.isOf(a)) {
      this.#network = new FastNetwork(this.#instance, a, 1);
    }
    // All of them, each time: copying takes less time than finding out what was changed.
    this.#network.setWeights(w);
    this.#network.forward(image, 1);
    return this.#network.activations(image);
  }
}
