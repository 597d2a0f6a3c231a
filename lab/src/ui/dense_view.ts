/** The arithmetic of a unit or a logit: every number below times a weight of its own. */

import { weightedSum } from "./arithmetic.ts";
import { axisNames, BOOK_NAMES, type Cell } from "./cells.ts";
import { twoSigns } from "./colours.ts";
import { button, element, setText } from "./dom.ts";
import type { Block } from "./layout.ts";
import { decimal, roundUp, signed } from "./numbers.ts";
import { largest, type State } from "./state.ts";
import { Tiles, type TileShape } from "./tiles.ts";
import {
  line,
  out,
  tableRow,
  termsTable,
  write,
  type View,
  type ViewActions,
} from "./view_parts.ts";

interface Row {
  root: HTMLElement;
  source: HTMLButtonElement;
  value: HTMLElement;
  weight: HTMLElement;
  product: HTMLElement;
}

/** Products that are written out. */
const NUM_ROWS = 10;

export class DenseView implements View {
  readonly root = element("div", { class: "lab-equation" });
  private readonly below: "flat" | "fc1";
  private readonly tiles: Tiles;
  private readonly rows: Row[];
  private readonly numRest = element("span");
  private readonly rest = out();
  private readonly bias = out();
  private readonly sum = out("lab-total");
  private readonly before = out();
  private readonly result = out("lab-total");
  private readonly count = element("p", { class: "lab-hint" });
  private readonly hover = element("p", { class: "lab-hint", "aria-hidden": "true" });
  private indices: number[] = [];
  private products: Float32Array = new Float32Array(0);

  constructor(layer: "fc1" | "logits", actions: ViewActions) {
    const below = layer === "fc1" ? "flat" : "fc1";
    this.below = below;
    const inWords = (index: number): string =>
      `${axisNames(below)[0]} ${index}: product ${signed(this.products[index] ?? 0, 4)}`;
    this.tiles = new Tiles({
      label: "All products",
      describe: inWords,
      onchoose: (index, enter) => {
        setText(this.hover, inWords(index));
        if (enter) actions.choose({ layer: below, index }, true);
      },
      onhover: (index) => setText(this.hover, index === null ? "" : inWords(index)),
    });
    this.rows = Array.from({ length: NUM_ROWS }, (_, n) => {
      const go = (): void => actions.choose({ layer: below, index: this.indices[n] }, true);
      const source = button("", go, "lab-link");
      const [value, weight, product] = [element("td"), element("td"), element("td")];
      const root = tableRow(source, [value, weight, product]);
      return { root, source, value, weight, product };
    });
    const columns = ["from", "number", "weight", "product"];
    const table = (caption: string, from: number, to: number): HTMLElement => {
      const rows = this.rows.slice(from, to).map(({ root }) => root);
      return termsTable(caption, columns, rows);
    };
    const relu = line("ReLU: max(0, ", this.before, ") = ", this.result);
    relu.hidden = layer === "logits";
    this.root.append(
      table("made from: the products that count most", 0, NUM_ROWS / 2),
      table("and the next five", NUM_ROWS / 2, NUM_ROWS),
      element(
        "div",
        { class: "lab-sums" },
        line(this.numRest, " ", this.rest),
        line("bias ", this.bias),
        line("in all ", this.sum),
        relu,
      ),
      element(
        "div",
        { class: "lab-all" },
        this.count,
        element("div", { class: "lab-all-tiles" }, this.tiles.root),
        this.hover,
      ),
    );
  }

  update(state: State, cell: Cell): void {
    const { below } = this;
    const name = below === "flat" ? "fc1" : "fc2";
    const input = state.activations[below];
    const weights = state.weights[`${name}/weights`];
    const biases = state.weights[`${name}/biases`];
    const step = weightedSum(input, weights, biases, cell.index, NUM_ROWS);
    this.indices = step.largest;
    this.products = step.products;
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
    setText(this.count, `All ${input.length} numbers of ${BOOK_NAMES[below]}, times their weights`);
    const { shape, block } = productTiles(below, state);
    this.tiles.arrange(shape, block);
    this.tiles.draw(step.products, twoSigns(roundUp(largest(step.products) || 1)));
  }
}

/** How the products are laid out as pictures. */
function productTiles(below: "flat" | "fc1", state: State): { shape: TileShape; block: Block } {
  const place = { left: 0, top: 0 };
  if (below === "fc1") {
    const shape = { height: 1, width: 1, count: state.shapes.fc1[0] };
    return { shape, block: { ...place, columns: 32, cell: [7, 15], step: [8, 16] } };
  }
  const [height, width, count] = state.shapes.pool2;
  const columns = Math.min(12, count);
  return {
    shape: { height, width, count },
    block: { ...place, columns, cell: [3, 3], step: [3 * width + 2, 3 * height + 2] },
  };
}
