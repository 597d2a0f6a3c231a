/** On a small screen: a strip that stays on top, with what the network sees and what it reads. */

import { PAPER, pixel } from "./colours.ts";
import { element, setAttribute, setText } from "./dom.ts";
import type { Layout } from "./layout.ts";
import { percent } from "./numbers.ts";
import { isBlank, ranked } from "./scores.ts";
import type { State } from "./state.ts";

/** For the eye alone: the same is said in words elsewhere. */
export class Strip {
  readonly root: HTMLElement;
  private readonly picture = element("canvas", { width: 28, height: 28 });
  private readonly context = this.picture.getContext("2d")!;
  private readonly image = new ImageData(28, 28);
  private readonly digit = element("span", { class: "lab-strip-digit" });
  private readonly share = element("span", { class: "lab-strip-share" });
  private readonly bars: { bar: HTMLElement; root: HTMLElement }[];

  constructor() {
    this.bars = Array.from({ length: 10 }, (_, digit) => {
      const bar = element("span", { class: "lab-strip-bar" });
      const root = element("span", { class: "lab-strip-column" }, bar, String(digit));
      return { bar, root };
    });
    this.root = element(
      "div",
      { class: "lab-strip", "aria-hidden": "true", hidden: true },
      this.picture,
      this.digit,
      this.share,
      element("div", { class: "lab-strip-bars" }, ...this.bars.map(({ root }) => root)),
    );
  }

  update(state: State, { wide }: Layout): void {
    setAttribute(this.root, "hidden", wide);
    if (wide) return;
    const { input, probabilities } = state.activations;
    const words = new Uint32Array(this.image.data.buffer);
    input.forEach((ink, i) => (words[i] = pixel(PAPER, ink)));
    this.context.putImageData(this.image, 0, 0);
    const [first] = ranked(probabilities);
    const blank = isBlank(state);
    setText(this.digit, blank ? "–" : String(first));
    setText(this.share, blank ? "" : percent(probabilities[first]));
    this.bars.forEach(({ bar, root }, digit) => {
      bar.style.transform = `scaleY(${probabilities[digit]})`;
      root.classList.toggle("lab-first", digit === first && !blank);
    });
  }
}
