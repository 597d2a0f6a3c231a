/** The dock's page on why: four maps of what the answer depends on, and the pixels that mislead. */

import { gradCam, logitSlopes, OCCLUSION_SIZE, shares } from "../attribution.ts";
import type { Engine } from "../engine.ts";
import { guess, IMAGE_SIZE, IMAGE_SIZE_FLAT } from "../network.ts";
import { oneSign, twoSigns } from "./colours.ts";
import type { Page } from "./dock.ts";
import { element, setAttribute, setText } from "./dom.ts";
import type { Drawing } from "./drawing.ts";
import { Fool } from "./fool.ts";
import { decimal, percent, roundUp, signed } from "./numbers.ts";
import { Occlusion } from "./occlusion.ts";
import { isBlank } from "./scores.ts";
import { largest, type State } from "./state.ts";
import { digitChoice } from "./view_parts.ts";
import { outlineOf, WhyMap } from "./why_map.ts";

/** "Row 12, column 15". */
function placeOf(index: number, side: number): string {
  return `Row ${Math.floor(index / side)}, column ${index % side}`;
}

const POINT = "Point at a map to read its numbers.";

/** What a map does not prove. */
function caution(): HTMLElement {
  const chapter = element(
    "a",
    { href: "../notebooks/attribution.html" },
    "Ask it why, then fool it",
  );
  return element(
    "p",
    { class: "lab-hint" },
    "A map does not prove that the network sees the digit as you do, or that its reading is right: it suggests what to try. ",
    chapter,
    " puts these maps to the test.",
  );
}

export class WhyPanel {
  private readonly head: HTMLElement;
  private readonly root: HTMLElement;
  private readonly asked = digitChoice();
  /** Whether the reader chose the digit to ask about; until then it is the one that is read. */
  private said = false;
  private readonly readout = element("p", { class: "lab-hint lab-readout" }, POINT);
  private readonly blank = element(
    "p",
    { class: "lab-hint" },
    "The paper is empty: draw a digit, and four maps show what its reading depends on.",
  );
  private readonly maps: HTMLElement;
  private readonly occlusion = this.newMap(
    "Occlusion",
    "probability left with a grey square here",
    (at) => this.occlusionInWords(at),
  );
  private readonly gradient = this.newMap(
    "Gradient",
    "what more ink here does to the logit",
    (at) => this.slopeInWords(at),
  );
  private readonly parts = this.newMap(
    "Gradient × input",
    "what the ink here adds to the logit",
    (at) => this.partInWords(at),
  );
  private readonly cam = this.newMap("Grad-CAM", "evidence for the digit in layer 2", (at) =>
    this.camInWords(at),
  );
  private readonly all = [this.occlusion, this.gradient, this.parts, this.cam];
  private readonly sum = element("p", { class: "lab-hint" });
  private readonly squares: Occlusion;
  private readonly fool: Fool;
  private computedFor: unknown[] = [];
  private state: State | null = null;
  private slopes: Float32Array | null = null;
  private camValues: Float32Array = new Float32Array();

  /** @param redraw Redraw everything: another digit is asked about. */
  constructor(engine: Engine, drawing: Drawing, redraw: () => void) {
    const isShown = (): boolean => this.maps.getClientRects().length > 0;
    this.squares = new Occlusion(engine, isShown, () => this.drawOcclusion());
    this.fool = new Fool(engine, drawing, redraw);
    this.asked.addEventListener("change", () => {
      this.said = true;
      redraw();
    });
    this.head = element(
      "div",
      { class: "lab-dock-title" },
      element("h2", {}, "Why?"),
      element("label", {}, "Ask about the ", this.asked),
    );
    this.fool.root.append(caution());
    this.maps = element(
      "div",
      {},
      element("div", { class: "lab-maps" }, ...this.all.map(({ root }) => root)),
      this.sum,
      this.readout,
    );
    this.root = element("div", { class: "lab-why" }, this.blank, this.maps, this.fool.root);
  }

  private newMap(title: string, meaning: string, describe: (index: number) => string): WhyMap {
    return new WhyMap(title, meaning, describe, (words) => setText(this.readout, words || POINT));
  }

  /** The dock's page. */
  get page(): Page {
    return { name: "why", title: "Why", head: this.head, body: this.root };
  }

  private get digit(): number {
    return Number(this.asked.value);
  }

  update(state: State): void {
    const { weights, activations } = state;
    this.state = state;
    if (!this.said) this.asked.value = String(guess(activations.logits));
    const blank = isBlank(state);
    this.blank.hidden = !blank;
    this.maps.hidden = blank;
    this.fool.update(state);
    const key = [weights, activations, this.digit];
    if (blank) return;
    // Each time: a page that the reader turned away from goes on where it stopped.
    this.squares.follow(state);
    if (key.every((part, i) => part === this.computedFor[i])) return;
    this.computedFor = key;
    this.draw(state);
  }

  private draw(state: State): void {
    const { architecture, weights, activations, conv2 } = state;
    const { digit } = this;
    const slopes = logitSlopes(architecture, weights, activations, digit);
    const { pixels, ink, biases } = shares(weights, activations, slopes);
    this.slopes = slopes.numbers.input;
    this.camValues = gradCam(conv2, activations, slopes);
    this.drawOcclusion();
    this.gradient.draw(this.slopes, twoSigns(roundUp(largest(this.slopes))));
    this.parts.draw(pixels, twoSigns(roundUp(largest(pixels))));
    this.cam.draw(this.camValues, oneSign(roundUp(largest(this.camValues))));
    setText(this.readout, POINT);
    const outline = outlineOf(activations.input);
    for (const map of this.all) map.outline(outline);
    const sign = biases < 0 ? "−" : "+";
    setText(
      this.sum,
      `Gradient × input adds up: ${decimal(ink)} from the ink ${sign} ${decimal(Math.abs(biases))} from the biases = ${decimal(activations.logits[digit])}, the logit.`,
    );
  }

  private drawOcclusion(): void {
    const { done } = this.squares;
    this.occlusion.draw(this.squares.map(this.digit), oneSign(1));
    setAttribute(this.occlusion.root, "data-done", done);
    this.occlusion.progress(
      done < IMAGE_SIZE_FLAT ? `${done} of ${IMAGE_SIZE_FLAT} squares tried` : "",
    );
  }

  private occlusionInWords(at: number): string {
    const value = this.squares.at(at, this.digit);
    const share = value === null ? "not known yet" : percent(value);
    return `${placeOf(at, IMAGE_SIZE)}: with a grey ${OCCLUSION_SIZE}×${OCCLUSION_SIZE} square centred here, the probability of the ${this.digit} is ${share}.`;
  }

  private slopeInWords(at: number): string {
    const slope = this.slopes?.[at] ?? 0;
    return `${placeOf(at, IMAGE_SIZE)}: the logit of the ${this.digit} changes by ${signed(slope)} per unit of ink.`;
  }

  private partInWords(at: number): string {
    const [slope, ink] = [this.slopes?.[at] ?? 0, this.state?.activations.input[at] ?? 0];
    return `${placeOf(at, IMAGE_SIZE)}: slope ${decimal(slope)} × ink ${decimal(ink)} = ${signed(slope * ink)}.`;
  }

  private camInWords(at: number): string {
    const side = Math.sqrt(this.camValues.length);
    return `${placeOf(at, side)} of layer 2: its pictures, weighted and added up, give ${decimal(this.camValues[at])}.`;
  }
}
