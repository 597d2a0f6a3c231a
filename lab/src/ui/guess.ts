/** What the network makes of the drawing: its guess, ten bars, and the loss for what was meant. */

import { crossEntropy, guess } from "../network.ts";
import { PAPER, pixel } from "./colours.ts";
import { afterwards, button, element, setShare, setText } from "./dom.ts";
import { Maps } from "./maps.ts";
import { decimal, percent } from "./numbers.ts";
import type { State } from "./state.ts";

/** The guess and the runner-up of ten probabilities. */
export function ranked(probabilities: Float32Array): [number, number] {
  const order = Array.from(probabilities.keys()).sort(
    (a, b) => probabilities[b] - probabilities[a],
  );
  return [order[0], order[1]];
}

export class Guess {
  readonly root: HTMLElement;
  readonly seen: HTMLElement;
  /** A narrow line that stays in sight while the reader scrolls through the layers. */
  readonly bar: HTMLElement;
  private readonly picture: Maps;
  private readonly small = element("canvas", { width: 28, height: 28 });
  private readonly image = new ImageData(28, 28);
  private readonly digit = element("span", { class: "lab-digit" });
  private readonly words = element("span", { class: "lab-confidence" });
  private readonly bars: { fill: HTMLElement; share: HTMLElement; root: HTMLElement }[];
  private readonly without = element("p", { class: "lab-without", hidden: true });
  private readonly withoutText = element("span");
  private readonly meant = element("select");
  private readonly verdict = element("p", { class: "lab-verdict" });
  private readonly live = element("p", { class: "lab-hidden", role: "status" });
  private readonly barText = element("span");
  private last: State | null = null;
  private readonly announceSoon = afterwards(700, () => this.announce());

  constructor(undoChanges: () => void, choosePixel: (index: number) => void) {
    this.bars = Array.from({ length: 10 }, (_, digit) => {
      const fill = element("span", { class: "lab-bar" });
      const share = element("span", { class: "lab-share" });
      const root = element(
        "li",
        {},
        element("span", { class: "lab-label" }, String(digit)),
        element("span", { class: "lab-track" }, fill),
        share,
      );
      return { fill, share, root };
    });
    this.meant.append(element("option", { value: "" }, "…"));
    for (let digit = 0; digit < 10; digit += 1)
      this.meant.append(element("option", { value: digit }, String(digit)));
    this.meant.addEventListener("change", () => this.judge());
    this.without.append(
      this.withoutText,
      " ",
      button("Undo all changes", undoChanges, "lab-button lab-quiet"),
    );
    this.root = element(
      "div",
      { class: "lab-guess" },
      element(
        "p",
        { class: "lab-answer" },
        element("span", { class: "lab-reads" }, "It reads "),
        this.digit,
        this.words,
      ),
      element(
        "ol",
        { class: "lab-bars", "aria-label": "Probability of each digit" },
        ...this.bars.map(({ root }) => root),
      ),
      this.without,
      element("p", { class: "lab-meant" }, element("label", {}, "What did you mean? ", this.meant)),
      this.verdict,
      this.live,
    );
    this.picture = new Maps({
      label: "What the network sees",
      zoom: [5, 6],
      describe: (index) =>
        `row ${Math.floor(index / 28)}, column ${index % 28}: ${decimal(this.last?.activations.input[index] ?? 0)}`,
      onchoose: (index) => choosePixel(index),
    });
    this.picture.setShape({ height: 28, width: 28, count: 1 });
    this.seen = element(
      "div",
      { class: "lab-seen" },
      element("p", { class: "lab-title" }, "What the network sees"),
      this.picture.root,
      element(
        "p",
        { class: "lab-hint" },
        "Scaled to fit 20×20 pixels and moved until its centre of mass lies in the middle of 28×28, as MNIST’s digits were.",
      ),
    );
    this.bar = element(
      "div",
      { class: "lab-sticky", "aria-hidden": "true", hidden: true },
      this.small,
      this.barText,
    );
  }

  /** @param without What the network would make of it without the reader's changes. */
  update(state: State, without: Float32Array | null): void {
    this.last = state;
    const { probabilities, input } = state.activations;
    this.picture.draw(input, PAPER);
    this.drawBar();
    const [first, second] = ranked(probabilities);
    const empty = this.isEmpty;
    setText(this.digit, empty ? "–" : String(first));
    setText(
      this.words,
      empty
        ? "The paper is empty: draw a digit."
        : `${percent(probabilities[first])} sure; next comes ${second} with ${percent(probabilities[second])}`,
    );
    this.bars.forEach(({ fill, share, root }, digit) => {
      setShare(fill, probabilities[digit]);
      setText(share, percent(probabilities[digit]));
      root.classList.toggle("lab-first", digit === first && !empty);
    });
    this.without.hidden = without === null;
    if (without) {
      const [before] = ranked(without);
      setText(
        this.withoutText,
        `Without your changes it reads ${before} (${percent(without[before])}).`,
      );
    }
    this.judge();
    this.announceSoon();
  }

  /** Show or hide the narrow line. */
  showBar(shown: boolean): void {
    this.bar.hidden = !shown;
    this.drawBar();
  }

  private drawBar(): void {
    if (!this.last || this.bar.hidden) return;
    const { probabilities, input } = this.last.activations;
    const words = new Uint32Array(this.image.data.buffer);
    input.forEach((ink, i) => (words[i] = pixel(PAPER, ink)));
    this.small.getContext("2d")!.putImageData(this.image, 0, 0);
    const [first, second] = ranked(probabilities);
    setText(
      this.barText,
      this.isEmpty
        ? "empty paper"
        : `It reads ${first} (${percent(probabilities[first])}), then ${second} (${percent(probabilities[second])})`,
    );
  }

  /** Forget what the reader meant: it was another drawing. */
  forget(): void {
    this.meant.value = "";
  }

  private get isEmpty(): boolean {
    return !this.last?.activations.input.some((ink) => ink > 0);
  }

  private judge(): void {
    if (!this.last || this.meant.value === "" || this.isEmpty) {
      setText(this.verdict, "");
      return;
    }
    const label = Number(this.meant.value);
    const { logits, probabilities } = this.last.activations;
    const loss = crossEntropy(logits, label);
    const answer = guess(logits);
    setText(
      this.verdict,
      answer === label
        ? `Right. The loss is ${decimal(loss)}: minus the logarithm of the ${percent(probabilities[label])} it gave to ${label}. Can you draw a ${label} that it misses?`
        : `Wrong, and so worth a look: it gave your ${label} only ${percent(probabilities[label])}, a loss of ${decimal(loss)}. Choose the logits of ${answer} and of ${label} below to see what spoke for each.`,
    );
  }

  private announce(): void {
    if (!this.last) return;
    const [first, second] = ranked(this.last.activations.probabilities);
    const { probabilities } = this.last.activations;
    setText(
      this.live,
      this.isEmpty
        ? "The paper is empty."
        : `The network reads ${first}, ${percent(probabilities[first])}. Next comes ${second}, ${percent(probabilities[second])}.`,
    );
  }
}
