/** The arithmetic of a convolution: patch × filter = products, their sum, pooling and ReLU. */

import type { Convolution } from "../network.ts";
import { indexOf, type LayerName, placeOf, type Cell } from "./cells.ts";
import { twoSigns } from "./colours.ts";
import { element } from "./dom.ts";
import { NumberGrid } from "./number_grid.ts";
import { roundUp } from "./numbers.ts";
import { loudest, madeOf, type Made } from "./path.ts";
import { largest, layerScale, weightScale, type State } from "./state.ts";
import { line, out, write, type View, type ViewActions } from "./view_parts.ts";

export class ConvolutionView implements View {
  readonly root = element("div", { class: "lab-equation" });
  private readonly below: LayerName;
  private readonly sums: LayerName;
  private readonly patch: NumberGrid;
  private readonly filter: NumberGrid;
  private readonly products: NumberGrid;
  private readonly channels: NumberGrid | null;
  private readonly window: NumberGrid | null;
  private readonly subtotal = out();
  private readonly allProducts = out();
  private readonly bias = out();
  private readonly sum = out("lab-total");
  private readonly before = out();
  private readonly result = out("lab-total");
  private readonly edge = line("Hatched: zeros beyond the edge.");
  private readonly reluStep: HTMLElement;
  private channel = 0;
  private last: { state: State; cell: Cell; made: Made } | null = null;

  constructor(
    private readonly layer: 1 | 2,
    state: State,
    private readonly actions: ViewActions,
    edit: () => void,
  ) {
    const conv = state[`conv${layer}`];
    const { filterSize } = conv;
    this.below = layer === 1 ? "input" : "pool1";
    this.sums = layer === 1 ? "conv1" : "conv2";
    const side = { rows: filterSize, columns: filterSize };
    const at = (index: number): string =>
      `row ${Math.floor(index / filterSize)}, column ${index % filterSize}`;
    this.patch = new NumberGrid({
      ...side,
      title: "patch",
      name: (i) => `patch, ${at(i)}`,
      onactivate: (i) => this.goBelow(i),
    });
    this.filter = new NumberGrid({
      ...side,
      title: "filter",
      name: (i) => `filter, ${at(i)}`,
      onactivate: edit,
    });
    this.patch.root.title = "Choose a number to go to it, one layer down";
    this.filter.root.title = "Choose a weight to change this filter";
    this.products = new NumberGrid({ ...side, title: "products" });
    this.channels = conv.inputChannels > 1 ? this.channelGrid(conv) : null;
    this.window = conv.pooling ? this.windowGrid() : null;
    this.reluStep = line(
      conv.pooling ? "largest of 4; ReLU: max(0, " : "ReLU: max(0, ",
      this.before,
      ") = ",
      this.result,
    );
    this.build(conv);
  }

  private channelGrid(conv: Convolution): NumberGrid {
    const rows = [4, 2].find((n) => conv.inputChannels % n === 0 && conv.inputChannels > n) ?? 1;
    const grid = new NumberGrid({
      title: `made from ${conv.inputChannels} sums, one per picture`,
      rows,
      columns: conv.inputChannels / rows,
      name: (i) => `picture ${i}`,
      onactivate: (i) => this.actions.chooseChannel(i),
    });
    grid.root.title = "Choose a sum to see its products";
    return grid;
  }

  private windowGrid(): NumberGrid {
    const grid = new NumberGrid({
      title: "the four sums",
      rows: 2,
      columns: 2,
      digits: 3,
      name: (i) => `sum ${i + 1} of 4`,
      onactivate: (i) => this.goToSum(i),
    });
    grid.root.title = "Pooling takes the largest. Choose one to see how it was made";
    return grid;
  }

  private build(conv: Convolution): void {
    const operator = (sign: string): HTMLElement =>
      element("span", { class: "lab-operator" }, sign);
    const count = conv.filterSize ** 2;
    this.root.append(
      element(
        "div",
        { class: "lab-product" },
        this.patch.root,
        operator("×"),
        this.filter.root,
        operator("="),
        this.products.root,
      ),
    );
    if (this.channels) this.root.append(this.channels.root);
    if (this.window) this.root.append(this.window.root);
    this.root.append(
      element(
        "div",
        { class: "lab-sums" },
        this.channels ? line(`these ${count}: `, this.subtotal) : "",
        line(
          this.channels ? `all ${conv.inputChannels} sums: ` : `the ${count} products: `,
          this.allProducts,
        ),
        line("bias ", this.bias, ", in all ", this.sum),
        this.reluStep,
        this.edge,
      ),
    );
  }

  update(state: State, cell: Cell, channel: number | null): void {
    const made = madeOf(state, cell);
    this.last = { state, cell, made };
    const { sum, pooled } = made;
    const isLayer = pooled !== null;
    const input = state.activations[this.below];
    const weights = state.weights[`conv${this.layer}/weights`];
    this.channel =
      channel !== null && channel < sum.subtotals.length ? channel : loudest(sum.subtotals);
    this.patch.setTitle(this.layer === 1 ? "patch" : `patch of picture ${this.channel}`);
    this.filter.setTitle(`filter ${sum.filter}`);
    this.patch.update(
      sum.inputs[this.channel],
      layerScale(this.below, input),
      (i) => !sum.inside[i],
    );
    this.filter.update(sum.weights[this.channel], weightScale(weights));
    const most = Math.max(...sum.products.map(largest));
    this.products.update(sum.products[this.channel], twoSigns(roundUp(most || 1)));
    this.channels?.update(
      sum.subtotals,
      twoSigns(roundUp(largest(sum.subtotals) || 1)),
      undefined,
      this.channel,
    );
    write(this.subtotal, sum.subtotals[this.channel]);
    write(this.allProducts, sum.sum - sum.bias);
    write(this.bias, sum.bias, true);
    write(this.sum, sum.sum);
    this.edge.hidden = sum.inside.every(Boolean);
    this.reluStep.hidden = !isLayer;
    if (this.window) this.window.root.hidden = !isLayer;
    if (!pooled) return;
    const values = pooled.window.map(({ value }) => value);
    const scale = layerScale(this.sums, state.activations[this.sums]);
    this.window?.update(values, scale, undefined, pooled.winner);
    write(this.before, values[pooled.winner]);
    write(this.result, pooled.value);
  }

  /** To one of the four sums that pooling chose from. */
  private goToSum(place: number): void {
    const { state, cell, made } = this.last!;
    if (!made.pooled) return;
    const { row, column } = made.pooled.window[place];
    const filter = placeOf(state.shapes[cell.layer], cell.index)[2];
    const index = indexOf(state.shapes[this.sums], [row, column, filter])!;
    this.actions.choose({ layer: this.sums, index }, false);
  }

  /** To a number of the patch. */
  private goBelow(place: number): void {
    const { state, made } = this.last!;
    if (!made.sum.inside[place]) return;
    const size = state[`conv${this.layer}`].filterSize;
    const at = [made.sum.top + Math.floor(place / size), made.sum.left + (place % size)];
    if (this.layer === 2) at.push(this.channel);
    const index = indexOf(state.shapes[this.below], at);
    if (index !== null) this.actions.choose({ layer: this.below, index }, true);
  }

  /** Which filter, and which of its windows, is shown. */
  get shown(): { filter: number; channel: number } {
    return { filter: this.last!.made.sum.filter, channel: this.channel };
  }
}
