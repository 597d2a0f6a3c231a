/** The map of occlusion, computed a few squares at a time, so that the page never waits for it. */

import { occluded } from "../attribution.ts";
import type { Engine } from "../engine.ts";
import { IMAGE_SIZE, IMAGE_SIZE_FLAT, NUM_CLASSES } from "../network.ts";
import type { State } from "./state.ts";

/** Milliseconds of a frame that it may take. */
const SLICE = 8;
/** First every fourth pixel, then every second, then all: the map is there early, and gets finer. */
const STEPS = [4, 2, 1];

/** The pixel of a coarser grid that a pixel belongs to. */
function coarse(place: number, step: number): number {
  const [row, column] = [Math.floor(place / IMAGE_SIZE), place % IMAGE_SIZE];
  return (row - (row % step)) * IMAGE_SIZE + column - (column % step);
}

const ORDER = [
  ...new Set(
    STEPS.flatMap((step) =>
      Array.from({ length: IMAGE_SIZE_FLAT }, (_, place) => coarse(place, step)),
    ),
  ),
];
/** Each pixel's place in that order. */
const TURN = new Uint16Array(IMAGE_SIZE_FLAT);
ORDER.forEach((place, turn) => (TURN[place] = turn));

export class Occlusion {
  /** Squares tried so far. */
  done = 0;
  /** All ten probabilities for each square: another digit costs nothing. */
  private readonly found = new Float32Array(IMAGE_SIZE_FLAT * NUM_CLASSES);
  private state: State | null = null;
  private requested = false;

  /**
   * @param isShown Whether the reader can see the map.
   * @param onprogress More squares have been tried.
   */
  constructor(
    private readonly engine: Engine,
    private readonly isShown: () => boolean,
    private readonly onprogress: () => void,
  ) {}

  /** Go on, or start again if the drawing or the network has changed. */
  follow(state: State): void {
    const { weights, activations } = this.state ?? {};
    if (weights !== state.weights || activations !== state.activations) this.done = 0;
    this.state = state;
    this.request();
  }

  private request(): void {
    if (this.requested || this.done === IMAGE_SIZE_FLAT) return;
    this.requested = true;
    requestAnimationFrame(() => this.slice());
  }

  private slice(): void {
    this.requested = false;
    if (!this.state || !this.isShown()) return;
    const { architecture, weights, activations } = this.state;
    const end = performance.now() + SLICE;
    do {
      const place = ORDER[this.done];
      const image = occluded(activations.input, place);
      const { probabilities } = this.engine.forward(architecture, weights, image);
      this.found.set(probabilities, place * NUM_CLASSES);
      this.done += 1;
    } while (this.done < IMAGE_SIZE_FLAT && performance.now() < end);
    this.onprogress();
    this.request();
  }

  /** The probability with the square there; `null` if it has not been tried yet. */
  at(place: number, digit: number): number | null {
    return TURN[place] < this.done ? this.found[place * NUM_CLASSES + digit] : null;
  }

  /** The map; what has not been tried yet takes its neighbour's value, or the one without a square. */
  map(digit: number): Float32Array {
    const plain = this.state!.activations.probabilities[digit];
    return Float32Array.from({ length: IMAGE_SIZE_FLAT }, (_, place) => {
      const near = [1, 2, 4].map((step) => this.at(coarse(place, step), digit));
      return near.find((value) => value !== null) ?? plain;
    });
  }
}
