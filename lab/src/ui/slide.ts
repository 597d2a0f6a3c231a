/** A filter of the first layer crosses the digit, step by step, and its picture fills. */

import type { Convolution } from "../network.ts";
import type { Cell } from "./cells.ts";
import { element, quietButton, setText, wantsLessMotion } from "./dom.ts";
import type { State } from "./state.ts";

export interface SlideActions {
  /** Show the sum of this place, and the picture as far as that. */
  at(cell: Cell): void;
  /** Show the whole picture again. */
  end(): void;
}

/** Milliseconds between two places. */
const PACE = 90;

/** The places of the output, row after row, whose patch has ink; blank paper is skipped. */
function inkyPlaces(conv: Convolution, input: Float32Array): number[] {
  const { inputSize, filterSize, outputSize, stride, padding } = conv;
  const hasInk = (place: number): boolean => {
    const top = Math.floor(place / outputSize) * stride - padding;
    const left = (place % outputSize) * stride - padding;
    for (let row = Math.max(top, 0); row < Math.min(top + filterSize, inputSize); row += 1)
      for (let at = Math.max(left, 0); at < Math.min(left + filterSize, inputSize); at += 1)
        if (input[row * inputSize + at] > 0) return true;
    return false;
  };
  return Array.from({ length: outputSize ** 2 }, (_, place) => place).filter(hasInk);
}

export class Slide {
  readonly root: HTMLElement;
  private readonly words = element("span");
  private readonly pauseButton: HTMLButtonElement;
  private places: number[] = [];
  private at = 0;
  private state: State | null = null;
  private filter = 0;
  private timer = 0;

  constructor(private readonly actions: SlideActions) {
    this.pauseButton = quietButton("Pause", () => this.pauseOrGoOn());
    this.root = element(
      "div",
      { class: "lab-slide lab-buttons", hidden: true },
      this.words,
      this.pauseButton,
      quietButton("Next place", () => this.oneStep()),
      quietButton("End", () => this.stop()),
    );
  }

  get isOn(): boolean {
    return !this.root.hidden;
  }

  start(state: State, filter: number): void {
    this.stop();
    this.state = state;
    this.filter = filter;
    this.places = inkyPlaces(state.conv1, state.activations.input);
    this.at = 0;
    if (this.places.length === 0) return;
    this.root.hidden = false;
    this.setRunning(!wantsLessMotion());
    this.show();
  }

  /** End it: the whole picture is shown again. */
  stop(): void {
    if (!this.isOn) return;
    window.clearInterval(this.timer);
    this.root.hidden = true;
    this.actions.end();
  }

  private setRunning(running: boolean): void {
    window.clearInterval(this.timer);
    this.timer = running ? window.setInterval(() => this.step(), PACE) : 0;
    setText(this.pauseButton, running ? "Pause" : "Slide on");
  }

  private pauseOrGoOn(): void {
    this.setRunning(this.timer === 0);
  }

  private oneStep(): void {
    this.setRunning(false);
    this.step();
  }

  private step(): void {
    this.at += 1;
    if (this.at >= this.places.length) this.stop();
    else this.show();
  }

  private show(): void {
    const { outputSize, numFilters } = this.state!.conv1;
    const place = this.places[this.at];
    setText(
      this.words,
      `Filter ${this.filter} crosses the digit: row ${Math.floor(place / outputSize)}, column ${place % outputSize}; blank paper is skipped.`,
    );
    this.actions.at({ layer: "conv1", index: place * numFilters + this.filter });
  }
}
