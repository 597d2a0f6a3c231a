/** Changing one pixel after another until the network reads what the reader wants. */

import { lead, nextPixel } from "../attribution.ts";
import type { Engine } from "../engine.ts";
import { guess } from "../network.ts";
import { button, element, setText, wantsLessMotion } from "./dom.ts";
import type { Drawing } from "./drawing.ts";
import { aDigit, plural } from "./numbers.ts";
import { isBlank, ranked } from "./scores.ts";
import type { State } from "./state.ts";
import { digitChoice } from "./view_parts.ts";

/** Milliseconds from one pixel to the next, so that the reader can follow. */
const PACE = 120;
/** Milliseconds of changes that appear at once for readers who want less motion. */
const BURST = 50;
const RULE =
  "Each step finds the pixel that helps most, and turns it to full ink or to paper. On the paper, an orange frame marks it.";

export class Fool {
  readonly root: HTMLElement;
  private readonly target = digitChoice();
  private readonly runButton = button("Fool it", () => this.toggle(), "lab-button lab-main");
  private readonly stepButton = button("One pixel", () => this.once());
  private readonly backButton = button("Undo one", () => this.takeBack(false));
  private readonly allBackButton = button("Undo all", () => this.takeBack(true));
  private readonly told = element("p", { class: "lab-told", role: "status" });
  private readonly hint = element("p", { class: "lab-hint" });
  /** Whether the reader said which digit it should be; until then it is the runner-up. */
  private said = false;
  private state: State | null = null;
  /** How many pixels were changed when that was last said. */
  private count = 0;
  private running = 0;
  private stuck = false;
  /** What to say instead of what the numbers say. */
  private news = "";

  /** @param redraw Redraw everything: there is something to say. */
  constructor(
    private readonly engine: Engine,
    private readonly drawing: Drawing,
    private readonly redraw: () => void,
  ) {
    this.target.addEventListener("change", () => this.choose());
    drawing.onlost = () =>
      this.tellLater("A new picture: the changed pixels went with the old one.");
    this.root = element(
      "div",
      {},
      element("h3", {}, "Fool it"),
      element(
        "div",
        { class: "lab-buttons" },
        element("label", {}, "Make it read ", this.target),
        ...[this.runButton, this.stepButton, this.backButton, this.allBackButton],
      ),
      this.told,
      this.hint,
    );
  }

  private get digit(): number {
    return Number(this.target.value);
  }

  update(state: State): void {
    const { logits, probabilities } = state.activations;
    const count = this.drawing.changedPixels.length;
    if (this.state && this.state.weights !== state.weights && count > 0) {
      this.stop();
      this.news = `The network has changed. Your digit still has ${plural(count, "pixel")} changed.`;
    }
    this.state = state;
    if (!this.said && count === 0 && !this.running)
      this.target.value = String(ranked(probabilities)[1]);
    const isRead = lead(logits, this.digit) > 0;
    if (!this.running && (this.news || count !== this.count || this.stuck)) this.tell(isRead);
    setText(this.runButton, this.running ? "Stop" : "Fool it");
    this.runButton.disabled = !this.running && (isRead || isBlank(state));
    this.stepButton.disabled = isRead || isBlank(state) || this.running !== 0;
    this.backButton.disabled = this.allBackButton.disabled = count === 0;
    setText(
      this.hint,
      isRead && count === 0
        ? `It reads ${aDigit(this.digit)} already: choose another digit.`
        : RULE,
    );
  }

  /** Say how many pixels have been changed, and what came of it. */
  private tell(isRead: boolean): void {
    const count = this.drawing.changedPixels.length;
    const read = `it reads ${aDigit(guess(this.state!.activations.logits))}`;
    const changed = plural(count, "pixel");
    let text = `${changed} changed; so far ${read}.`;
    if (this.stuck) text = `${changed} changed, and no other would help: ${read}.`;
    else if (count === 0) text = `All undone: ${read}.`;
    else if (isRead) text = `${changed}, and ${read}.`;
    setText(this.told, this.news || text);
    this.count = count;
    this.news = "";
    this.stuck = false;
  }

  private tellLater(news: string): void {
    this.stop();
    this.news = news;
    this.redraw();
  }

  /** Another digit is wanted: the changes for the one before would only be in the way. */
  private choose(): void {
    this.said = true;
    const count = this.drawing.changedPixels.length;
    this.stop();
    if (count > 0) {
      this.news = `${plural(count, "pixel")} undone: the search for ${aDigit(this.digit)} starts from your drawing.`;
      this.drawing.takeBack(true);
    }
    this.redraw();
  }

  private takeBack(all: boolean): void {
    this.stop();
    this.drawing.takeBack(all);
  }

  private once(): void {
    this.advance(this.state!);
    this.redraw();
  }

  /** Change one pixel after another, or stop doing that. */
  private toggle(): void {
    if (this.running) {
      this.stop();
      this.redraw();
      return;
    }
    setText(this.told, "Changing pixels …");
    // What comes of it is said at the end.
    this.count = -1;
    this.run(this.state!);
  }

  private run(state: State): void {
    this.running = 0;
    const end = performance.now() + (wantsLessMotion() ? BURST : 0);
    let next: State | null = state;
    do next = this.advance(next);
    while (next && performance.now() < end);
    if (next && this.root.getClientRects().length > 0)
      this.running = window.setTimeout(() => this.run(next), PACE);
    this.redraw();
  }

  private stop(): void {
    window.clearTimeout(this.running);
    this.running = 0;
  }

  /** Change a pixel; `null` if there is none left to change. */
  private advance(state: State): State | null {
    const { architecture: a, weights: w, activations: x } = state;
    if (lead(x.logits, this.digit) > 0) return null;
    const next = nextPixel(a, w, x, this.digit, this.drawing.changedPixels);
    this.stuck = next === null;
    if (!next) return null;
    this.drawing.change(next);
    return { ...state, activations: this.engine.forward(a, w, this.drawing.image()) };
  }
}
