/** The dock's first page: the arithmetic of the chosen number, what it is made from, where it goes. */

import { ConvolutionView } from "./convolution_view.ts";
import {
  axisNames,
  BOOK_NAMES,
  cellInWords,
  hasCell,
  indexOf,
  placeOf,
  type Cell,
  type LayerName,
} from "./cells.ts";
import { DenseView } from "./dense_view.ts";
import { button, element, newId, setAttribute, setText, quietButton } from "./dom.ts";
import type { FilterPlace } from "./edits.ts";
import { Loupe } from "./loupe.ts";
import { decimal, signed } from "./numbers.ts";
import { convolutionOf, STAGE_LAYER, type Path, type Wire } from "./path.ts";
import { FlatView, InputView, SoftmaxView } from "./simple_views.ts";
import type { State } from "./state.ts";
import type { View, ViewActions } from "./view_parts.ts";

export interface PanelActions extends ViewActions {
  edit(place: FilterPlace): void;
  slide(filter: number): void;
  close(): void;
}

/** The longest list of what a number is made from, or moves. */
const MOST = 16;

/** A list of buttons that lead along the wires. */
class Ways {
  readonly root: HTMLElement;
  private readonly buttons: HTMLButtonElement[];
  private wires: Wire[] = [];

  constructor(title: string, go: (wire: Wire) => void) {
    this.buttons = Array.from({ length: MOST }, (_, i) =>
      button("", () => go(this.wires[i]), "lab-way"),
    );
    const id = newId("ways");
    this.root = element(
      "div",
      { class: "lab-ways", role: "group", "aria-labelledby": id },
      element("span", { class: "lab-hint", id }, title),
      ...this.buttons,
    );
  }

  show(wires: readonly Wire[]): void {
    const order = [...wires].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    this.wires = order.filter(({ value }) => value !== 0).slice(0, MOST);
    this.root.hidden = this.wires.length === 0;
    this.buttons.forEach((one, i) => {
      const wire = this.wires[i];
      setAttribute(one, "hidden", !wire);
      if (wire) setText(one, wayInWords(wire));
    });
  }
}

/** Where a wire leads, and what goes along it: "picture 6 +1.23". */
function wayInWords({ from, to, cell, value }: Wire): string {
  const stage = STAGE_LAYER[cell.layer];
  const { map } = from.layer === stage ? from : to;
  const names = {
    input: "the ink",
    pictures1: `picture ${map}`,
    pictures2: `picture ${map}`,
    fc1: `unit ${cell.index}`,
    logits: `logit of ${cell.index}`,
  };
  return `${names[stage]} ${signed(value, 2)}`;
}

export class ArithmeticPanel {
  readonly root = element("div", { class: "lab-arithmetic" });
  /** Title and fields, which stand in the dock's head. */
  readonly head: HTMLElement;
  cell: Cell | null = null;
  private readonly title = element("h2", { tabindex: -1, id: newId("title") });
  private readonly words = element("span", {}, "");
  private readonly value = element("span", { class: "lab-value" });
  private readonly code = element("code");
  private readonly steppers = element("div", { class: "lab-steppers" });
  private readonly tools: HTMLElement;
  private readonly slideButton: HTMLButtonElement;
  private readonly editButton: HTMLButtonElement;
  private readonly body = element("div");
  private readonly loupe: Loupe;
  private readonly from: Ways;
  private readonly to: Ways;
  private readonly inWords = element("p", { class: "lab-hint" });
  private readonly empty = element(
    "p",
    { class: "lab-empty" },
    "Point at any square: wires show what it is made from, and what it affects. Choose it, and its arithmetic stays here.",
  );
  private readonly rounding = element(
    "p",
    { class: "lab-hint" },
    "Numbers are rounded where they are shown, not where they are added.",
  );
  private view: View | null = null;
  private key = "";
  private inputs: HTMLInputElement[] = [];

  constructor(private readonly actions: PanelActions) {
    this.slideButton = quietButton("Slide", () => this.slide());
    this.slideButton.title = "Watch the filter cross the digit";
    this.editButton = quietButton("Change this filter", () => this.edit());
    const close = quietButton("Close", () => actions.close());
    close.classList.add("lab-close");
    this.tools = element("div", { class: "lab-buttons" }, this.slideButton, this.editButton, close);
    this.title.append(this.words, this.value, " ", this.code);
    this.head = element("div", { class: "lab-dock-title" }, this.title, this.steppers, this.tools);
    this.loupe = new Loupe((cell) => actions.choose(cell, false));
    this.from = new Ways("made from", ({ cell }) => actions.choose(cell, true));
    this.to = new Ways("goes to", ({ cell }) => actions.choose(cell, true));
    this.root.append(
      this.empty,
      this.loupe.root,
      this.body,
      this.from.root,
      this.to.root,
      this.inWords,
      this.rounding,
    );
  }

  /** Show a cell with its path, or that nothing is chosen. */
  show(state: State, cell: Cell | null, path: Path | null, channel: number | null): void {
    const shown = cell && hasCell(cell, state.shapes) ? cell : null;
    this.cell = shown;
    this.root.classList.toggle("lab-nothing", shown === null);
    for (const part of [this.title, this.steppers, this.tools, this.rounding])
      part.hidden = shown === null;
    this.empty.hidden = shown !== null;
    this.body.hidden = shown === null;
    this.loupe.show(state, shown);
    if (!shown) {
      for (const part of [this.from.root, this.to.root, this.inWords]) part.hidden = true;
      return;
    }
    const key = `${kindOf(shown.layer)} ${JSON.stringify(state.architecture)}`;
    if (key !== this.key) {
      this.key = key;
      this.view = this.newView(state, shown.layer);
      this.body.replaceChildren(this.view.root);
    }
    this.setSteppers(state, shown);
    this.setTitle(state, shown);
    this.slideButton.hidden = convolutionOf(shown.layer) !== 1;
    this.editButton.hidden = !(this.view instanceof ConvolutionView);
    this.view!.update(state, shown, channel);
    this.showWays(shown, path);
  }

  private showWays(cell: Cell, path: Path | null): void {
    // The sums of a second layer's number stand in its arithmetic, as buttons.
    this.from.show(path && convolutionOf(cell.layer) === null ? path.back : []);
    this.to.show(path?.forward ?? []);
    const says = path?.parts && path.whose.startsWith("picture") && path.forward.length > 0;
    this.inWords.hidden = !says;
    if (says)
      setText(
        this.inWords,
        `What ${path!.whose} contributes as a whole: without it, these would be lower (+) or higher (−) by this much.`,
      );
  }

  focus(): void {
    this.title.focus({ preventScroll: true });
  }

  private setTitle(state: State, cell: Cell): void {
    const value = state.activations[cell.layer][cell.index];
    setText(this.words, `${cellInWords(cell, state.shapes)} = `);
    setText(this.value, decimal(value, 4));
    setAttribute(this.value, "data-value", value);
    const place = placeOf(state.shapes[cell.layer], cell.index);
    setText(this.code, `${BOOK_NAMES[cell.layer]}[${place.join(", ")}]`);
  }

  private newView(state: State, layer: LayerName): View {
    const edit = (): void => this.edit();
    switch (layer) {
      case "input":
        return new InputView();
      case "conv1":
      case "pool1":
        return new ConvolutionView(1, state, this.actions, edit);
      case "conv2":
      case "pool2":
        return new ConvolutionView(2, state, this.actions, edit);
      case "flat":
        return new FlatView(this.actions);
      case "fc1":
      case "logits":
        return new DenseView(layer, this.actions);
      case "probabilities":
        return new SoftmaxView();
    }
  }

  private edit(): void {
    if (!(this.view instanceof ConvolutionView)) return;
    const layer = convolutionOf(this.cell!.layer)!;
    this.actions.edit({ layer, ...this.view.shown });
  }

  private slide(): void {
    if (this.view instanceof ConvolutionView) this.actions.slide(this.view.shown.filter);
  }

  /** Fields for the cell's row, column and picture: rebuilt only when the layer changes. */
  private setSteppers(state: State, cell: Cell): void {
    const shape = state.shapes[cell.layer];
    const layout = `${cell.layer} ${shape.join(" ")}`;
    if (this.steppers.dataset["layout"] !== layout) {
      this.steppers.dataset["layout"] = layout;
      this.inputs = shape.map((length) =>
        element("input", { type: "number", min: 0, max: length - 1, step: 1 }),
      );
      const names = axisNames(cell.layer);
      const labels = this.inputs.map((input, axis) =>
        element("label", {}, `${names[axis]} `, input),
      );
      if (labels.length === 3) labels.unshift(labels.pop()!);
      this.steppers.replaceChildren(...labels);
      for (const input of this.inputs)
        input.addEventListener("input", () => this.stepped(cell.layer, shape, input));
    }
    placeOf(shape, cell.index).forEach((at, axis) => {
      const input = this.inputs[axis];
      if (Number(input.value) !== at || input.value === "") input.value = String(at);
      setAttribute(input, "aria-invalid", undefined);
    });
  }

  private stepped(layer: LayerName, shape: readonly number[], input: HTMLInputElement): void {
    const place = this.inputs.map((one) => (one.value === "" ? -1 : Number(one.value)));
    const index = indexOf(shape, place);
    setAttribute(input, "aria-invalid", index === null ? "true" : undefined);
    if (index !== null) this.actions.choose({ layer, index }, false);
  }
}

/** Layers that one and the same view serves. */
function kindOf(layer: LayerName): string {
  return { pool1: "conv1", pool2: "conv2" }[layer as string] ?? layer;
}
