/** A small table of coloured numbers: a patch, a filter, the products of the two. */

import { paint, type Scale } from "./colours.ts";
import { element, setAttribute, setText } from "./dom.ts";
import { decimal } from "./numbers.ts";
import { rove } from "./roving.ts";

export interface NumberGridOptions {
  title: string;
  rows: number;
  columns: number;
  digits?: number;
  /** Words before each number, for screen readers: which one it is. */
  name?: (index: number) => string;
  /** What choosing a number does; without it the numbers can only be read. */
  onactivate?: (index: number) => void;
}

export class NumberGrid {
  readonly root: HTMLElement;
  private readonly caption: HTMLElement;
  private readonly cells: HTMLTableCellElement[] = [];

  constructor(private readonly options: NumberGridOptions) {
    this.caption = element("caption", {}, options.title);
    const table = element("table", { class: "lab-numbers" }, this.caption);
    const body = element("tbody");
    for (let row = 0; row < options.rows; row += 1) {
      const line = element("tr");
      for (let column = 0; column < options.columns; column += 1) {
        const cell = element("td");
        this.cells.push(cell);
        line.append(cell);
      }
      body.append(line);
    }
    table.append(body);
    if (options.onactivate) {
      setAttribute(table, "role", "grid");
      setAttribute(table, "aria-label", options.title);
      for (const cell of this.cells) setAttribute(cell, "role", "gridcell");
      rove(this.cells, options.columns, options.onactivate);
    }
    this.root = table;
  }

  setTitle(title: string): void {
    setText(this.caption, title);
    if (this.options.onactivate) setAttribute(this.root, "aria-label", title);
  }

  /**
   * Show these numbers. `data-value` keeps them as they are, for whoever adds them up.
   *
   * @param outside Numbers that stand for nothing: the zeros beyond an edge.
   * @param chosen A number to be outlined.
   */
  update(
    values: ArrayLike<number>,
    scale: Scale,
    outside?: (index: number) => boolean,
    chosen?: number | null,
  ): void {
    this.cells.forEach((cell, index) => {
      const value = values[index];
      const beyond = outside?.(index) ?? false;
      const text = decimal(value, this.options.digits ?? 2);
      setText(cell, text);
      setAttribute(cell, "data-value", value);
      paint(cell, scale, value);
      cell.classList.toggle("lab-outside", beyond);
      cell.classList.toggle("lab-picked", chosen === index);
      if (this.options.onactivate) {
        setAttribute(cell, "aria-selected", chosen === index ? "true" : undefined);
        const name = this.options.name?.(index);
        if (name)
          setAttribute(cell, "aria-label", `${name}: ${text}${beyond ? ", beyond the edge" : ""}`);
      }
    });
  }
}
