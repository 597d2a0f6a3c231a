/** The legend of a colour scale: its colours, with the numbers at both ends and the middle. */

import { pixel, TWO_SIGNS, type Scale } from "./colours.ts";
import { element, setText } from "./dom.ts";
import { decimal } from "./numbers.ts";

const STEPS = 64;

/** As many decimals as a round number needs. */
function short(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 1 - Math.floor(Math.log10(Math.abs(value))));
  return decimal(Number(value.toFixed(digits)), digits)
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "");
}

export class Legend {
  readonly root: HTMLElement;
  private readonly low = element("span");
  private readonly high = element("span");
  private readonly bar = element("canvas", { width: STEPS, height: 1, "aria-hidden": "true" });
  private readonly words = element("span", { class: "lab-hidden" });
  private shown = "";

  constructor() {
    this.root = element("div", { class: "lab-legend" }, this.low, this.bar, this.high, this.words);
  }

  update(scale: Scale): void {
    const key = `${scale.low} ${scale.high}`;
    if (key === this.shown) return;
    this.shown = key;
    setText(this.low, short(scale.low));
    setText(this.high, short(scale.high));
    setText(
      this.words,
      scale.map === TWO_SIGNS
        ? " (colours: blue below zero, white at zero, red above)"
        : " (colours: the lowest number to the highest)",
    );
    const context = this.bar.getContext("2d")!;
    const image = context.createImageData(STEPS, 1);
    const words = new Uint32Array(image.data.buffer);
    for (let step = 0; step < STEPS; step += 1) {
      words[step] = pixel(scale, scale.low + ((scale.high - scale.low) * step) / (STEPS - 1));
    }
    context.putImageData(image, 0, 0);
  }
}
