/** The dock's page on the way back: the derivative of any number, its sum, and a step of Adam. */

import { termsOfNumber, termsOfWeight, wayBack, type Term, type WayBack } from "../gradients.ts";
import { guess, type Weights } from "../network.ts";
import { cellInWords, type Cell } from "./cells.ts";
import { twoSigns } from "./colours.ts";
import type { Page } from "./dock.ts";
import { button, element, setAttribute, setText } from "./dom.ts";
import { aDigit, decimal, plural, roundUp } from "./numbers.ts";
import { OwnSteps } from "./own_step.ts";
import { isBlank } from "./scores.ts";
import { largest, type State } from "./state.ts";
import { Tiles } from "./tiles.ts";
import { digitChoice, tableRow, termsTable } from "./view_parts.ts";
import { WeightChoice } from "./weight_choice.ts";

export interface GradientActions {
  /** Redraw everything: another digit is meant, another weight is looked at. */
  redraw(): void;
  choose(cell: Cell): void;
  /** Put these weights in place of those that are shown, a step further on, or back (-1). */
  put(weights: Weights, steps: 1 | -1): void;
}

/** Terms that are written out. */
const MOST = 8;
const RATES = [0.0001, 0.001, 0.01];

/** A number of the way back: small ones are the rule. */
export function small(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || (size >= 0.001 && size < 1000)) return decimal(value, 4);
  return value.toExponential(2).replace(/-/g, "−");
}

export class GradientPanel {
  private readonly head: HTMLElement;
  private readonly root: HTMLElement;
  /** All derivatives for the drawing, as of the last {@link update}. */
  back: WayBack | null = null;
  private computedFor: unknown[] = [];
  private readonly steps = new OwnSteps();
  private readonly meant = digitChoice();
  private readonly rate = element(
    "select",
    {},
    ...RATES.map((rate) => element("option", { value: rate }, String(rate))),
  );
  private readonly loss = element("span", { class: "lab-loss" });
  private readonly told = element("p", { class: "lab-hint", role: "status" });
  private readonly weights: WeightChoice;
  private readonly title = element("h3", {});
  private readonly total = element("p", { class: "lab-line" });
  private readonly adam = element("p", { class: "lab-line" });
  private readonly memory = element("p", { class: "lab-hint" });
  private readonly rows: HTMLElement[] = [];
  private readonly places = new Tiles({ label: "The sum over places", passive: true });
  private readonly placesBox: HTMLElement;
  private readonly stepButton: HTMLButtonElement;
  private readonly undoButton: HTMLButtonElement;
  /** Whether the reader said which digit is meant; until then it is what the network reads. */
  private said = false;
  private state: State | null = null;

  constructor(private readonly actions: GradientActions) {
    this.weights = new WeightChoice(() => actions.redraw());
    this.meant.addEventListener("change", () => {
      this.said = true;
      actions.redraw();
    });
    this.rate.addEventListener("change", () => actions.redraw());
    this.stepButton = button(
      "Take one step on my drawing",
      () => this.step(),
      "lab-button lab-main",
    );
    this.undoButton = button("Undo the step", () => this.undo());
    this.head = element(
      "div",
      { class: "lab-dock-title" },
      element("h2", {}, "The way back"),
      element("label", {}, "The right answer is ", this.meant),
      element("div", { class: "lab-buttons" }, this.stepButton, this.undoButton),
      this.loss,
    );
    this.placesBox = element(
      "figure",
      { class: "lab-places" },
      this.places.root,
      element("figcaption", {}, "each place’s part: red raises the loss, blue lowers it"),
    );
    const table = termsTable(
      "the terms that count most",
      ["from", "derivative", "× factor", "= part"],
      [],
    );
    const body = table.querySelector("tbody")!;
    for (let i = 0; i < MOST; i += 1) {
      const from = button("", () => this.follow(i), "lab-link");
      const cells = [0, 1, 2].map(() => element("td"));
      this.rows.push(tableRow(from, cells));
    }
    body.append(...this.rows);
    this.root = element(
      "div",
      { class: "lab-gradient lab-equation" },
      element(
        "div",
        {},
        this.weights.root,
        element("p", {}, element("label", {}, "learning rate ", this.rate)),
        this.told,
      ),
      element("div", {}, this.title, this.total, this.adam, this.memory, this.placesBox),
      table,
    );
  }

  /** The dock's page. */
  get page(): Page {
    return { name: "back", title: "Way back", head: this.head, body: this.root };
  }

  private terms: Term[] = [];

  private get label(): number {
    return Number(this.meant.value);
  }

  /** Show the derivative of the weight that is looked at, or else of the number chosen. */
  update(state: State, cell: Cell | null): void {
    this.state = state;
    const { architecture: a, weights: w, activations: x, base } = state;
    if (!this.said) this.meant.value = String(guess(x.logits));
    this.steps.follow(a, base);
    // Pointing about changes none of this: it need not be computed for each frame.
    const key = [w, x, this.label];
    if (!this.back || key.some((part, i) => part !== this.computedFor[i])) {
      this.computedFor = key;
      this.back = wayBack(a, w, x, this.label);
    }
    setText(this.loss, `Loss ${small(this.back.loss)}. It reads ${aDigit(guess(x.logits))}.`);
    this.weights.update(state, this.back);
    const place = this.weights.place;
    if (place) this.showWeight(state, place.name, place.index);
    else if (cell) this.showNumber(state, cell);
    else this.showNothing();
    this.stepButton.disabled = isBlank(state) || !state.exact;
    this.undoButton.disabled = this.steps.count === 0;
  }

  private showWeight(state: State, name: keyof Weights, index: number): void {
    const { architecture: a, activations: x } = state;
    const derivative = this.back!.weights[name][index];
    setText(this.title, `The gradient of ${this.weights.inWords}`);
    this.showTerms(derivative, termsOfWeight(a, x, this.back!, name, index));
    const { step, mean, square, move } = this.steps.preview(
      name,
      index,
      derivative,
      Number(this.rate.value),
    );
    const value = state.base[name][index];
    setText(
      this.adam,
      `Adam, step ${step}: m = ${small(mean)}, v = ${small(square)}, so the weight moves by ${small(move)}: ${decimal(value, 5)} → ${decimal(value + move, 5)}`,
    );
    setText(
      this.memory,
      step === 1
        ? "The stored networks come without Adam’s memory: m and v start at 0, as at the first step of training. So the first step is as long as the learning rate, and shorter only where the gradient is tiny."
        : `m and v remember the ${plural(step - 1, "step")} that you took.`,
    );
    this.adam.hidden = this.memory.hidden = false;
    this.showPlaces(state, name);
  }

  private showNumber(state: State, cell: Cell): void {
    const { architecture: a, weights: w, activations: x, shapes } = state;
    const derivative = this.back!.numbers[cell.layer][cell.index];
    setText(this.title, `The derivative with respect to a number: ${cellInWords(cell, shapes)}`);
    this.showTerms(derivative, termsOfNumber(a, w, x, this.back!, cell.layer, cell.index));
    if (cell.layer === "logits") {
      const p = decimal(x.probabilities[cell.index], 4);
      setText(
        this.total,
        `${small(derivative)} = probability ${p}${cell.index === this.label ? " − 1, because this is the digit it should be" : ""}`,
      );
    }
    this.adam.hidden = this.memory.hidden = true;
    this.placesBox.hidden = true;
  }

  private showNothing(): void {
    setText(this.title, "Choose a number in the picture, or a weight here");
    this.total.replaceChildren();
    this.adam.hidden = this.memory.hidden = true;
    this.placesBox.hidden = true;
    this.terms = [];
    for (const row of this.rows) row.hidden = true;
  }

  private showTerms(derivative: number, terms: Term[]): void {
    const sorted = [...terms].sort((one, other) => Math.abs(other.product) - Math.abs(one.product));
    this.terms = sorted.slice(0, MOST);
    const rest = sorted.slice(MOST).reduce((sum, { product }) => sum + product, 0);
    const others = sorted.length - this.terms.length;
    setText(
      this.total,
      terms.length === 0
        ? `${small(derivative)}: none of the loss comes back to it${derivative === 0 ? "" : " but this"}.`
        : `${small(derivative)} = the sum of ${plural(terms.length, "term")}` +
            (others > 0 ? `; those not shown add up to ${small(rest)}` : ""),
    );
    setAttribute(this.total, "data-value", derivative);
    setAttribute(this.total, "data-rest", rest);
    this.rows.forEach((row, i) => {
      const one = this.terms[i];
      row.hidden = !one;
      if (!one) return;
      const [from, ...cells] = [row.querySelector("button")!, ...row.querySelectorAll("td")];
      setText(from, cellInWords(one, this.state!.shapes));
      [one.derivative, one.factor, one.product].forEach((value, at) =>
        setText(cells[at], small(value)),
      );
      setAttribute(cells[2], "data-value", one.product);
      setAttribute(cells[2], "class", one.product < 0 ? "lab-against" : "lab-for");
    });
  }

  /** For a filter's weight: which place of the picture adds what. */
  private showPlaces(state: State, name: keyof Weights): void {
    const layer = name.slice(0, 5);
    this.placesBox.hidden = layer !== "conv1" && layer !== "conv2";
    if (layer !== "conv1" && layer !== "conv2") return;
    const { architecture: a, activations: x } = state;
    const { outputSize, numFilters } = state[layer];
    const parts = new Float32Array(outputSize ** 2);
    for (const { index, product } of termsOfWeight(
      a,
      x,
      this.back!,
      name,
      this.weights.place!.index,
    )) {
      parts[Math.floor(index / numFilters)] += product;
    }
    const side = Math.floor(140 / outputSize);
    this.places.arrange(
      { height: outputSize, width: outputSize, count: 1 },
      { left: 0, top: 0, columns: 1, cell: [side, side], step: [0, 0] },
    );
    this.places.root.parentElement!.style.setProperty("--lab-side", `${side * outputSize}px`);
    this.places.draw(parts, twoSigns(roundUp(largest(parts))));
  }

  private follow(i: number): void {
    const { layer, index } = this.terms[i];
    this.weights.leave();
    this.actions.choose({ layer, index });
  }

  private step(): void {
    const { back, state } = this;
    if (!back || !state) return;
    const before = guess(state.activations.logits);
    this.said = true;
    const weights = this.steps.take(back.weights, Number(this.rate.value));
    this.actions.put(weights, 1);
    this.tell("One step", back.loss, before);
  }

  private undo(): void {
    const { back, state } = this;
    const weights = this.steps.undo();
    if (!weights || !back || !state) return;
    const before = guess(state.activations.logits);
    this.actions.put(weights, -1);
    this.tell("Undone", back.loss, before);
  }

  /** Say what came of it: everything has been redrawn. */
  private tell(what: string, loss: number, before: number): void {
    const now = guess(this.state!.activations.logits);
    const read =
      before === now
        ? `It still reads ${aDigit(now)}.`
        : `It read ${aDigit(before)}, now ${aDigit(now)}.`;
    setText(this.told, `${what}: loss ${small(loss)} → ${small(this.back!.loss)}. ${read}`);
  }
}
