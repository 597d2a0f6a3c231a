/** Which network is shown: a moment of the book's, or the reader's own. */

import { loadCheckpoint } from "../data.ts";
import { BOOK, type Architecture, type Weights } from "../network.ts";
import { loadSmall } from "../small.ts";
import { MINE } from "./bar.ts";
import { whole } from "./numbers.ts";

export interface NetworksActions {
  /** A network is on its way, or there. */
  busy(busy: boolean): void;
  /** Another network is there; of the same kind, or with other layers. */
  changed(sameKind: boolean): void;
  marked(network: string): void;
  /** How far the reader's own network has come. */
  mine(iteration: number): void;
}

export class Networks {
  /** A checkpoint's name or `MINE`; "" while there is none but noise. */
  network = "";
  /** Whether its numbers are those of the checkpoint to the last digit, or nearly those. */
  exact = false;
  /** The latest request: what comes late for an earlier one is dropped. */
  private wish = { network: "" };
  /** The request in force when the reader began to train. */
  private wishAtStart: object | null = null;
  private own: { architecture: Architecture; weights: Weights } | null = null;
  /** Iterations that the reader's own network has had. */
  private ownIterations = 0;

  constructor(
    public architecture: Architecture,
    public base: Weights,
    private readonly actions: NetworksActions,
  ) {}

  /**
   * Put another network below the drawing; if it cannot be had, keep the one that is there.
   *
   * @returns What went wrong; "" if nothing did, or if nobody wants this network any more.
   */
  async use(name: string): Promise<string> {
    const wish = { network: name };
    this.wish = wish;
    let problem = "";
    if (name !== MINE) {
      this.actions.busy(true);
      const found = await loadCheckpoint(Number(name)).catch((error: Error) => error);
      // Another one was asked for in the meantime: it is on its way, or there already.
      if (this.wish !== wish) return "";
      if (found instanceof Error) {
        problem = `The network after ${whole(Number(name))} iterations could not be loaded. ${found.message}`;
        wish.network = this.network;
        // There is only noise, and no better numbers come.
        if (this.network === "") {
          this.exact = true;
          this.actions.changed(true);
        }
      } else this.set(name, BOOK, found);
    }
    if (wish.network === MINE) this.showMine();
    this.actions.marked(this.network);
    this.actions.busy(false);
    return problem;
  }

  /**
   * Show a checkpoint's small copy, which is there sooner; when the browser has nothing else to do,
   * `whole` is called to bring the whole one, unless another network was asked for meanwhile.
   *
   * @returns Whether there is a small copy.
   */
  async glance(name: string, whole: () => void): Promise<boolean> {
    const wish = { network: name };
    this.wish = wish;
    this.actions.busy(true);
    const found = await loadSmall(Number(name)).catch(() => null);
    if (this.wish !== wish) return true;
    this.actions.busy(false);
    if (!found) return false;
    this.set(name, BOOK, found, false);
    whenIdle(() => {
      if (this.wish === wish) whole();
    });
    return true;
  }

  /** The reader begins with a new network. */
  beginMine(): void {
    this.wishAtStart = this.wish;
  }

  /**
   * Weights of the network in training: they are shown, if that network is.
   *
   * @returns Whether it is a new one that should be shown now.
   */
  takeMine(architecture: Architecture, weights: Weights, iteration: number): boolean {
    const isNew = this.own === null || !isSame(this.own.architecture, architecture);
    this.own = { architecture, weights };
    this.ownIterations = iteration;
    this.actions.mine(iteration);
    if (isNew && this.wish === this.wishAtStart) return true;
    if (this.wish.network === MINE) this.showMine();
    return false;
  }

  /** Iterations of the network that is shown. */
  get iterations(): number {
    return this.network === MINE ? this.ownIterations : Number(this.network);
  }

  /** Show other weights in place of those that are shown, as the reader's own from now on. */
  put(weights: Weights, iteration: number, architecture = this.architecture): void {
    this.wish = { network: MINE };
    this.takeMine(architecture, weights, iteration);
  }

  private showMine(): void {
    if (this.own) this.set(MINE, this.own.architecture, this.own.weights);
  }

  private set(name: string, architecture: Architecture, weights: Weights, exact = true): void {
    const sameKind = isSame(architecture, this.architecture);
    this.network = name;
    this.architecture = architecture;
    this.base = weights;
    this.exact = exact;
    this.actions.marked(name);
    this.actions.changed(sameKind);
  }
}

/** Call `action` once the browser has drawn and has nothing else to do. */
function whenIdle(action: () => void): void {
  if ("requestIdleCallback" in window) window.requestIdleCallback(action);
  else setTimeout(action, 200);
}

function isSame(one: Architecture, other: Architecture): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
