/** Which weight the way back is shown for: its array, and its place in there. */

import type { WayBack } from "../gradients.ts";
import { WEIGHT_NAMES, type Weights } from "../network.ts";
import { indexOf } from "./cells.ts";
import { twoSigns } from "./colours.ts";
import { element, newId, setText } from "./dom.ts";
import { roundUp } from "./numbers.ts";
import { NumberGrid } from "./number_grid.ts";
import { largest, type State } from "./state.ts";

const WORDS: Record<keyof Weights, string> = {
  "conv1/weights": "a weight of layer 1",
  "conv1/biases": "a bias of layer 1",
  "conv2/weights": "a weight of layer 2",
  "conv2/biases": "a bias of layer 2",
  "fc1/weights": "a weight of a unit",
  "fc1/biases": "the bias of a unit",
  "fc2/weights": "a weight of a logit",
  "fc2/biases": "the bias of a logit",
};

/** What the axes of an array are called. */
const AXES: Record<keyof Weights, string[]> = {
  "conv1/weights": ["row", "column", "channel", "filter"],
  "conv1/biases": ["filter"],
  "conv2/weights": ["row", "column", "channel", "filter"],
  "conv2/biases": ["filter"],
  "fc1/weights": ["number", "unit"],
  "fc1/biases": ["unit"],
  "fc2/weights": ["unit", "digit"],
  "fc2/biases": ["digit"],
};

export class WeightChoice {
  readonly root: HTMLElement;
  private readonly array = element(
    "select",
    { id: newId("array") },
    element("option", { value: "" }, "the number chosen in the picture"),
    ...WEIGHT_NAMES.map((name) => element("option", { value: name }, WORDS[name])),
  );
  private readonly fields: { label: HTMLElement; words: HTMLElement; input: HTMLInputElement }[];
  private readonly gridBox = element("div");
  private grid: NumberGrid | null = null;
  private gridSide = 0;
  private state: State | null = null;

  constructor(private readonly onchange: () => void) {
    this.fields = [0, 1, 2, 3].map(() => {
      const words = element("span");
      const input = element("input", { type: "number", min: 0, value: 0, step: 1 });
      input.addEventListener("input", onchange);
      return { label: element("label", { hidden: true }, words, " ", input), words, input };
    });
    this.array.addEventListener("change", () => {
      for (const { input } of this.fields) input.value = "0";
      onchange();
    });
    this.root = element(
      "div",
      { class: "lab-weight-choice" },
      // Beside it, not around it: the words of the choices are not part of its name.
      element("label", { for: this.array.id }, "Look at"),
      this.array,
      ...this.fields.map(({ label }) => label),
      this.gridBox,
    );
  }

  private get name(): keyof Weights | null {
    return (this.array.value as keyof Weights) || null;
  }

  /** The numbers in the fields, brought to what there is. */
  private numbers(shape: readonly number[]): number[] {
    return shape.map((length, axis) => {
      const value = Math.round(Number(this.fields[axis].input.value));
      return Math.min(Math.max(Number.isFinite(value) ? value : 0, 0), length - 1);
    });
  }

  /** The weight; `null` for the number chosen in the picture. */
  get place(): { name: keyof Weights; index: number } | null {
    const { name, state } = this;
    if (!name || !state) return null;
    const shape = state.shapes[name];
    return { name, index: indexOf(shape, this.numbers(shape))! };
  }

  /** "layer 1: row 2, column 3, channel 0, filter 5". */
  get inWords(): string {
    const { name, state } = this;
    if (!name || !state) return "";
    const place = this.numbers(state.shapes[name]).map((at, axis) => `${AXES[name][axis]} ${at}`);
    return `${WORDS[name]}: ${place.join(", ")}`;
  }

  /** Look at the number chosen in the picture again. */
  leave(): void {
    this.array.value = "";
  }

  update(state: State, back: WayBack): void {
    this.state = state;
    const { name } = this;
    const shape = name ? state.shapes[name] : [];
    this.fields.forEach(({ label, words, input }, axis) => {
      label.hidden = axis >= shape.length;
      if (!name || axis >= shape.length) return;
      setText(words, AXES[name][axis]);
      input.max = String(shape[axis] - 1);
    });
    this.gridBox.hidden = shape.length !== 4;
    if (name && shape.length === 4) this.showFilter(back, name, shape);
  }

  /** The gradients of one small filter; choosing one looks at that weight. */
  private showFilter(back: WayBack, name: keyof Weights, shape: readonly number[]): void {
    const [side] = shape;
    if (this.grid === null || this.gridSide !== side) {
      this.gridSide = side;
      this.grid = new NumberGrid({
        title: "Gradients of this filter, in thousandths of the largest",
        rows: side,
        columns: side,
        digits: 0,
        name: (at) => `row ${Math.floor(at / side)}, column ${at % side}`,
        onactivate: (at) => {
          this.fields[0].input.value = String(Math.floor(at / side));
          this.fields[1].input.value = String(at % side);
          this.onchange();
        },
      });
      this.gridBox.replaceChildren(this.grid.root);
    }
    const [row, column, channel, filter] = this.numbers(shape);
    const all = back.weights[name];
    const most = largest(all) || 1;
    const values = Float32Array.from(
      { length: side * side },
      (_, at) => (1000 * all[(at * shape[2] + channel) * shape[3] + filter]) / most,
    );
    this.grid.update(values, twoSigns(roundUp(largest(values))), undefined, row * side + column);
  }
}
