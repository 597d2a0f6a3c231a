/** The panel that shows the arithmetic of the chosen number. */

import {
  convolutionSum,
  pooled,
  softmaxSteps,
  weightedSum,
  type ConvolutionSum,
} from "./arithmetic.ts";
import {
  axisNames,
  BOOK_NAMES,
  hasCell,
  indexOf,
  placeInWords,
  placeOf,
  type Cell,
  type LayerName,
} from "./cells.ts";
import { twoSigns } from "./colours.ts";
import { button, element, newId, setAttribute, setText } from "./dom.ts";
import { Maps, type Mark } from "./maps.ts";
import { NumberGrid } from "./number_grid.ts";
import { decimal, roundUp, signed } from "./numbers.ts";
import { largest, layerScale, weightScale, type State } from "./state.ts";

/** Rectangles to outline in the layers that a number was made from. */
export type Marks = Partial<Record<LayerName, Mark[]>>;

export interface Actions {
  choose(cell: Cell, focus: boolean): void;
  editFilter(layer: 1 | 2, channel: number, filter: number): void;
  close(): void;
}

/** A part of the panel for one kind of layer. */
interface View {
  readonly root: HTMLElement;
  update(state: State, cell: Cell): Marks;
}

const out = (kind = ""): HTMLElement => element("span", { class: `lab-result ${kind}`.trim() });

/** "a + b = c" of text and live numbers. */
function line(...parts: (string | Node)[]): HTMLElement {
  return element("p", { class: "lab-line" }, ...parts);
}

/** A row of a table: its head, over so many columns, then its cells. */
function tableRow(head: string | Node, cells: HTMLElement[], columns = 1): HTMLElement {
  const colspan = columns > 1 ? columns : undefined;
  return element("tr", {}, element("th", { scope: "row", colspan }, head), ...cells);
}

/** A table of terms, and below a line what they come to. */
function termsTable(
  caption: string,
  columns: string[],
  rows: HTMLElement[],
  totals: HTMLElement[],
): HTMLElement {
  const head = columns.map((name) => element("th", { scope: "col" }, name));
  return element(
    "table",
    { class: "lab-terms" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
    element("tfoot", {}, ...totals),
  );
}

function write(target: HTMLElement, value: number, withSign = false): void {
  setText(target, withSign ? signed(value, 4) : decimal(value, 4));
  setAttribute(target, "data-value", value);
}

// --- A pixel of the input -----------------------------------------------------------------

class InputView implements View {
  readonly root = element("div");
  private readonly text = line();
  constructor() {
    this.root.append(this.text);
  }
  update(state: State, cell: Cell): Marks {
    const value = state.activations.input[cell.index];
    const share = Math.round(value * 100);
    setText(
      this.text,
      `This is where the numbers begin: ink covers ${share}% of this pixel of your drawing, once it is scaled and centred. 0 is paper, 1 is ink.`,
    );
    return {};
  }
}

// --- Convolution, pooling and ReLU --------------------------------------------------------

class ConvolutionView implements View {
  readonly root = element("div");
  /** The picture that it looked at, with the patch outlined. */
  private readonly whole = new Maps({ label: "", passive: true, zoom: [4, 8] });
  private readonly patch: NumberGrid;
  private readonly filter: NumberGrid;
  private readonly products: NumberGrid;
  private readonly channels: NumberGrid | null = null;
  private readonly window: NumberGrid | null = null;
  private readonly subtotal = out();
  private readonly allProducts = out();
  private readonly bias = out();
  private readonly sum = out("lab-total");
  private readonly largest = out();
  private readonly before = out();
  private readonly result = out("lab-total");
  private readonly sumSentence = element("span");
  private readonly reluStep: HTMLElement;
  /** What the reader picked: a channel, and one of the pooling window's sums; `null` for the telling one. */
  private channel: number | null = null;
  private place: number | null = null;
  private last: { state: State; cell: Cell } | null = null;
  private shown: ConvolutionSum | null = null;

  constructor(
    private readonly layer: 1 | 2,
    state: State,
    private readonly actions: Actions,
  ) {
    const conv = state[`conv${layer}`];
    const { filterSize, inputChannels } = conv;
    const below: LayerName = layer === 1 ? "input" : "pool1";
    const side = { rows: filterSize, columns: filterSize };
    const at = (index: number): string =>
      `row ${Math.floor(index / filterSize)}, column ${index % filterSize}`;
    this.patch = new NumberGrid({
      ...side,
      title: "patch",
      name: (i) => `patch, ${at(i)}`,
      onactivate: (i) => this.goBelow(below, i),
    });
    this.filter = new NumberGrid({
      ...side,
      title: "filter",
      name: (i) => `filter, ${at(i)}`,
      onactivate: () => this.edit(),
    });
    this.products = new NumberGrid({ ...side, title: "products" });

    const steps = element("ol", { class: "lab-steps" });
    if (conv.pooling) {
      this.window = new NumberGrid({
        title: "2×2 window",
        rows: 2,
        columns: 2,
        digits: 3,
        name: (i) => `sum ${i + 1} of 4`,
        onactivate: (i) => this.pick("place", i),
      });
    }
    if (inputChannels > 1) {
      const rows = [4, 2].find((n) => inputChannels % n === 0 && inputChannels / n >= 4) ?? 1;
      this.channels = new NumberGrid({
        title: "sum of each channel’s products",
        rows,
        columns: inputChannels / rows,
        name: (i) => `channel ${i}`,
        onactivate: (i) => this.pick("channel", i),
      });
    }
    const multiply = element(
      "div",
      { class: "lab-equation" },
      element("div", { class: "lab-whole" }, this.whole.root),
      element("span", { class: "lab-operator" }, "→"),
      this.patch.root,
      element("span", { class: "lab-operator" }, "×"),
      this.filter.root,
      element("span", { class: "lab-operator" }, "="),
      this.products.root,
    );
    const count = filterSize * filterSize;
    steps.append(
      element(
        "li",
        {},
        line(
          "Multiply: each number of the patch with the weight that lies on it. ",
          this.sumSentence,
        ),
        multiply,
        this.channels
          ? line(`The ${count} products of this channel make `, this.subtotal, ".")
          : "",
      ),
    );
    if (this.channels) {
      steps.append(
        element(
          "li",
          {},
          line(`Do the same in all ${inputChannels} channels. Choose one to see its products.`),
          this.channels.root,
        ),
      );
    }
    steps.append(
      element(
        "li",
        {},
        line(
          this.channels ? `Add: all ${inputChannels} channels ` : `Add: the ${count} products `,
          this.allProducts,
          ", the bias ",
          this.bias,
          ", together ",
          this.sum,
          ".",
        ),
      ),
    );
    this.reluStep = element(
      "li",
      {},
      line("ReLU: nothing below zero passes. max(0, ", this.before, ") = ", this.result, "."),
    );
    if (this.window) {
      steps.append(
        element(
          "li",
          { class: "lab-after" },
          line(
            "Pool: of four neighbouring sums the largest goes on, ",
            this.largest,
            ". Choose one to see how it was made.",
          ),
          this.window.root,
        ),
      );
    }
    steps.append(this.reluStep);
    this.root.append(
      steps,
      element(
        "p",
        {},
        button("Change this filter", () => this.edit()),
      ),
    );
    this.patch.root.title = "Choose a number to go to it, one layer down";
    this.filter.root.title = "Choose a weight to change this filter";
  }

  update(state: State, cell: Cell): Marks {
    if (this.last?.cell.layer !== cell.layer || this.last.cell.index !== cell.index)
      this.place = null;
    this.last = { state, cell };
    const { layer } = this;
    const conv = state[`conv${layer}`];
    const { weights, activations } = state;
    const sums = layer === 1 ? activations.conv1 : activations.conv2;
    const input = layer === 1 ? activations.input : activations.pool1;
    const [w, b] = [weights[`conv${layer}/weights`], weights[`conv${layer}/biases`]];
    const isPooled = cell.layer === "pool1" || cell.layer === "pool2";
    const [row, column, filter] = placeOf(state.shapes[cell.layer], cell.index);

    for (const step of this.root.querySelectorAll<HTMLElement>(".lab-after"))
      step.hidden = !isPooled;
    this.reluStep.hidden = !isPooled;
    let at = { row, column };
    if (isPooled) {
      const step = pooled(conv, sums, row, column, filter);
      const place = this.place ?? step.winner;
      at = step.window[place];
      const scale = layerScale(layer === 1 ? "conv1" : "conv2", sums);
      this.window?.update(
        step.window.map((one) => one.value),
        scale,
        undefined,
        place,
      );
      write(this.largest, step.window[step.winner].value);
      write(this.before, step.window[step.winner].value);
      write(this.result, step.value);
    }
    const shown = convolutionSum(conv, input, w, b, at.row, at.column, filter);
    this.shown = shown;
    const channel =
      this.channel !== null && this.channel < conv.inputChannels
        ? this.channel
        : shown.subtotals.reduce(
            (best, value, i) => (Math.abs(value) > Math.abs(shown.subtotals[best]) ? i : best),
            0,
          );
    const below: LayerName = layer === 1 ? "input" : "pool1";
    const from = layer === 1 ? "the input" : `layer_conv1, channel ${channel}`;
    setText(
      this.sumSentence,
      `The patch is the ${conv.filterSize}×${conv.filterSize} numbers of ${from} around row ${shown.top + (conv.filterSize >> 1)}, column ${shown.left + (conv.filterSize >> 1)}` +
        (shown.inside.every(Boolean) ? "." : "; beyond the edge stand zeros (hatched)."),
    );
    this.patch.setTitle(layer === 1 ? "patch" : `patch, channel ${channel}`);
    this.filter.setTitle(`filter ${filter}`);
    const outside = (i: number): boolean => !shown.inside[i];
    this.patch.update(shown.inputs[channel], layerScale(below, input), outside);
    this.filter.update(shown.weights[channel], weightScale(w));
    const productLimit = roundUp(Math.max(...shown.products.map(largest)) || 1);
    this.products.update(shown.products[channel], twoSigns(productLimit));
    this.channels?.update(
      shown.subtotals,
      twoSigns(roundUp(largest(shown.subtotals) || 1)),
      undefined,
      channel,
    );
    write(this.subtotal, shown.subtotals[channel]);
    write(this.allProducts, shown.sum - shown.bias);
    write(this.bias, shown.bias, true);
    write(this.sum, shown.sum);
    const side = conv.filterSize;
    this.whole.setShape({ height: conv.inputSize, width: conv.inputSize, count: 1 });
    this.whole.draw(
      input.filter((_, i) => i % conv.inputChannels === channel),
      layerScale(below, input),
    );
    this.whole.mark([{ map: 0, row: shown.top, column: shown.left, height: side, width: side }]);
    const patch = { row: shown.top, column: shown.left, height: side, width: side };
    const marks: Marks = {
      [below]: Array.from({ length: conv.inputChannels }, (_, map) => ({ ...patch, map })),
    };
    if (isPooled && conv.pooling) {
      marks[layer === 1 ? "conv1" : "conv2"] = [
        { map: filter, row: 2 * row, column: 2 * column, height: 2, width: 2 },
      ];
    }
    return marks;
  }

  private pick(what: "channel" | "place", index: number): void {
    this[what] = index;
    if (this.last) this.actions.choose(this.last.cell, false);
  }

  private goBelow(below: LayerName, place: number): void {
    if (!this.last || !this.shown?.inside[place]) return;
    const { state } = this.last;
    const size = state[`conv${this.layer}`].filterSize;
    const [row, column] = [
      this.shown.top + Math.floor(place / size),
      this.shown.left + (place % size),
    ];
    const index = indexOf(
      state.shapes[below],
      below === "input" ? [row, column] : [row, column, this.shownChannel()],
    );
    if (index !== null) this.actions.choose({ layer: below, index }, true);
  }

  private shownChannel(): number {
    if (this.channel !== null) return this.channel;
    const sizes = this.shown!.subtotals.map(Math.abs);
    return sizes.indexOf(Math.max(...sizes));
  }

  private edit(): void {
    if (this.shown) this.actions.editFilter(this.layer, this.shownChannel(), this.shown.filter);
  }
}

// --- Flatten ------------------------------------------------------------------------------

class FlatView implements View {
  readonly root = element("div");
  private readonly text = line();
  private cell: Cell | null = null;
  constructor(actions: Actions) {
    this.root.append(
      this.text,
      element(
        "p",
        {},
        button("Go to it in layer_conv2", () => {
          if (this.cell) actions.choose({ layer: "pool2", index: this.cell.index }, true);
        }),
      ),
    );
  }
  update(state: State, cell: Cell): Marks {
    this.cell = cell;
    const [row, column, channel] = placeOf(state.shapes.pool2, cell.index);
    const [, width, count] = state.shapes.pool2;
    setText(
      this.text,
      `Nothing is computed here. Number ${cell.index} is channel ${channel} of layer_conv2 at row ${row}, column ${column}: (${row} × ${width} + ${column}) × ${count} + ${channel} = ${cell.index}.`,
    );
    return { pool2: [{ map: channel, row, column, height: 1, width: 1 }] };
  }
}

// --- A fully connected unit ---------------------------------------------------------------

class DenseView implements View {
  readonly root = element("div");
  private readonly maps: Maps;
  private readonly rows: {
    root: HTMLElement;
    source: HTMLButtonElement;
    value: HTMLElement;
    weight: HTMLElement;
    product: HTMLElement;
  }[];
  private readonly rest = out();
  private readonly numRest = element("span");
  private readonly bias = out();
  private readonly sum = out("lab-total");
  private readonly result = out("lab-total");
  private readonly reluStep: HTMLElement;
  private readonly above: HTMLElement;
  private readonly hover = element("p", { class: "lab-readout" });
  private readonly below: LayerName;
  private indices: number[] = [];
  private products: Float32Array = new Float32Array(0);

  constructor(layer: "fc1" | "logits", state: State, actions: Actions) {
    const below: LayerName = layer === "fc1" ? "flat" : "fc1";
    this.below = below;
    this.maps = new Maps({
      label: `Products of all ${state.shapes[below][0]} numbers and their weights`,
      zoom: layer === "fc1" ? [3, 4] : [8, 16],
      describe: (i) => `${axisNames(below)[0]} ${i}: product ${decimal(this.products[i] ?? 0)}`,
      onchoose: (index) => setText(this.hover, this.inWords(index)),
      onhover: (index) => setText(this.hover, index === null ? "" : this.inWords(index)),
    });
    this.maps.setShape(denseShape(below, state));
    this.above = element("p", { class: "lab-line" });
    this.rows = Array.from({ length: 10 }, (_, n) => {
      const source = button(
        "",
        () => {
          if (this.indices[n] !== undefined)
            actions.choose({ layer: below, index: this.indices[n] }, true);
        },
        "lab-link",
      );
      const [value, weight, product] = [element("td"), element("td"), element("td")];
      const root = tableRow(source, [value, weight, product]);
      return { root, source, value, weight, product };
    });
    const table = termsTable(
      "The ten products that count most",
      ["from", "number", "weight", "product"],
      this.rows.map(({ root }) => root),
      [
        tableRow(this.numRest, [element("td", {}, this.rest)], 3),
        tableRow("the bias", [element("td", {}, this.bias)], 3),
        tableRow("together", [element("td", {}, this.sum)], 3),
      ],
    );
    const before = out();
    this.reluStep = line(
      "ReLU: nothing below zero passes. max(0, ",
      before,
      ") = ",
      this.result,
      ".",
    );
    this.reluStep.hidden = layer === "logits";
    this.before = before;
    this.root.append(
      this.above,
      element(
        "div",
        { class: "lab-side" },
        table,
        element(
          "div",
          {},
          element("p", { class: "lab-hint" }, "All products: red speaks for, blue against."),
          this.maps.root,
          this.hover,
        ),
      ),
      this.reluStep,
    );
  }

  private readonly before: HTMLElement;

  update(state: State, cell: Cell): Marks {
    const { below } = this;
    const name = below === "flat" ? "fc1" : "fc2";
    const input = state.activations[below];
    const weights = state.weights[`${name}/weights`];
    const biases = state.weights[`${name}/biases`];
    const step = weightedSum(input, weights, biases, cell.index);
    this.indices = step.largest;
    this.products = step.products;
    setText(
      this.above,
      `Each of the ${input.length} numbers of ${BOOK_NAMES[below]} is multiplied by a weight of its own; then everything is added.`,
    );
    this.rows.forEach((row, n) => {
      const i = step.largest[n];
      row.root.hidden = i === undefined;
      if (i === undefined) return;
      setText(row.source, `${axisNames(below)[0]} ${i}`);
      setText(row.value, decimal(input[i], 4));
      setText(row.weight, decimal(weights[i * biases.length + cell.index], 4));
      write(row.product, step.products[i], true);
    });
    setText(this.numRest, `the other ${Math.max(0, input.length - step.largest.length)} products`);
    write(this.rest, step.rest, true);
    write(this.bias, step.bias, true);
    write(this.sum, step.sum);
    write(this.before, step.sum);
    write(this.result, Math.max(0, step.sum));
    this.maps.setShape(denseShape(below, state));
    this.maps.draw(step.products, twoSigns(roundUp(largest(step.products) || 1)));
    return {};
  }

  private inWords(index: number): string {
    return `${axisNames(this.below)[0]} ${index}: product ${signed(this.products[index] ?? 0, 4)}`;
  }
}

/** How the numbers below a fully connected layer are laid out as a picture. */
export function denseShape(
  layer: "flat" | "fc1" | LayerName,
  state: State,
): { height: number; width: number; count: number } {
  if (layer === "flat") {
    const [height, width, count] = state.shapes.pool2;
    return { height: height * width, width: count, count: 1 };
  }
  const units = state.shapes.fc1[0];
  const width = [16, 8, 4].find((side) => units % side === 0) ?? 4;
  return { height: units / width, width, count: 1 };
}

// --- Softmax ------------------------------------------------------------------------------

class SoftmaxView implements View {
  readonly root = element("div");
  private readonly rows: {
    root: HTMLElement;
    logit: HTMLElement;
    power: HTMLElement;
    share: HTMLElement;
  }[];
  private readonly total = out("lab-total");
  private readonly text = line();
  constructor() {
    this.rows = Array.from({ length: 10 }, (_, digit) => {
      const [logit, power, share] = [element("td"), element("td"), element("td")];
      return { root: tableRow(String(digit), [logit, power, share]), logit, power, share };
    });
    this.root.append(
      this.text,
      termsTable(
        "Softmax, step by step",
        ["digit", "logit less the largest", "e to that power", "share"],
        this.rows.map(({ root }) => root),
        [tableRow("together", [element("td", {}, this.total), element("td")], 2)],
      ),
    );
  }
  update(state: State, cell: Cell): Marks {
    const steps = softmaxSteps(state.activations.logits);
    this.rows.forEach((row, digit) => {
      setText(row.logit, decimal(steps.differences[digit]));
      write(row.power, steps.powers[digit]);
      write(row.share, steps.shares[digit]);
      row.root.classList.toggle("lab-picked", digit === cell.index);
    });
    write(this.total, steps.total);
    setText(
      this.text,
      `The probability of ${cell.index} is its power's share of all ten: ${decimal(steps.powers[cell.index], 4)} / ${decimal(steps.total, 4)} = ${decimal(steps.shares[cell.index], 4)}. (Taking away the largest logit first changes no share, and keeps the powers small.)`,
    );
    return {};
  }
}

// --- The panel ----------------------------------------------------------------------------

export class ArithmeticPanel {
  readonly root: HTMLElement;
  cell: Cell | null = null;
  private readonly title = element("h4", { tabindex: -1, id: newId("title") });
  private readonly value = element("span", { class: "lab-value" });
  private readonly steppers = element("div", { class: "lab-steppers" });
  private readonly body = element("div");
  private view: View | null = null;
  private key = "";
  private inputs: HTMLInputElement[] = [];

  constructor(private readonly actions: Actions) {
    const close = button("Close", () => actions.close(), "lab-button lab-quiet");
    this.root = element(
      "section",
      { class: "lab-panel", "aria-labelledby": this.title.id, hidden: true },
      element("div", { class: "lab-panel-head" }, this.title, close),
      this.steppers,
      this.body,
      element(
        "p",
        { class: "lab-hint" },
        "Numbers are rounded where they are shown, not where they are added.",
      ),
    );
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.cell) actions.choose(this.cell, true);
    });
  }

  /** Show the arithmetic of a cell, or nothing; says what to outline in the layers below. */
  show(state: State, cell: Cell | null): Marks {
    this.cell = cell;
    this.root.hidden = cell === null;
    if (!cell) return {};
    const key = `${kindOf(cell.layer)} ${JSON.stringify(state.architecture)}`;
    if (key !== this.key) {
      this.key = key;
      this.view = this.newView(state, cell.layer);
      this.body.replaceChildren(this.view.root);
    }
    this.setSteppers(state, cell);
    return this.update(state);
  }

  /** The same cell, after its numbers changed. */
  update(state: State): Marks {
    const { cell, view } = this;
    if (!cell || !view || !hasCell(cell, state.shapes)) return {};
    const value = state.activations[cell.layer][cell.index];
    if (!this.value.isConnected) this.title.replaceChildren(element("span", {}, ""), this.value);
    setText(
      this.title.firstElementChild!,
      `${BOOK_NAMES[cell.layer]}, ${placeInWords(cell, state.shapes)}: `,
    );
    setText(this.value, decimal(value, 4));
    setAttribute(this.value, "data-value", value);
    return view.update(state, cell);
  }

  focus(): void {
    this.title.focus();
  }

  private newView(state: State, layer: LayerName): View {
    switch (layer) {
      case "input":
        return new InputView();
      case "conv1":
      case "pool1":
        return new ConvolutionView(1, state, this.actions);
      case "conv2":
      case "pool2":
        return new ConvolutionView(2, state, this.actions);
      case "flat":
        return new FlatView(this.actions);
      case "fc1":
      case "logits":
        return new DenseView(layer, state, this.actions);
      case "probabilities":
        return new SoftmaxView();
    }
  }

  /** Fields for the cell's row, column and channel: made anew only when the layer changes. */
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
      for (const input of this.inputs) {
        input.addEventListener("input", () => {
          const index = indexOf(
            shape,
            this.inputs.map((one) => (one.value === "" ? -1 : Number(one.value))),
          );
          setAttribute(input, "aria-invalid", index === null ? "true" : undefined);
          if (index !== null) this.actions.choose({ layer: cell.layer, index }, false);
        });
      }
    }
    placeOf(shape, cell.index).forEach((at, axis) => {
      const input = this.inputs[axis];
      if (Number(input.value) !== at || input.value === "") input.value = String(at);
      setAttribute(input, "aria-invalid", undefined);
    });
  }
}

/** Layers that one and the same view serves. */
function kindOf(layer: LayerName): string {
  return { pool1: "conv1", pool2: "conv2" }[layer as string] ?? layer;
}
