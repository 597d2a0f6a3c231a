/** What the views of arithmetic are made of: results, lines and tables with live numbers. */

import type { Cell } from "./cells.ts";
import { element, setAttribute, setText } from "./dom.ts";
import { decimal, signed } from "./numbers.ts";
import type { State } from "./state.ts";

/** The arithmetic of one kind of layer. */
export interface View {
  readonly root: HTMLElement;
  /** @param channel Of a sum over channels: the one that the reader opened, or `null`. */
  update(state: State, cell: Cell, channel: number | null): void;
}

export interface ViewActions {
  /** `focus`: the focus goes along, to the picture of that layer. */
  choose(cell: Cell, focus: boolean): void;
  /** Of a sum over channels open one. */
  chooseChannel(channel: number): void;
}

/** A number that `write` fills in. */
export const out = (kind = ""): HTMLElement =>
  element("span", { class: `lab-result ${kind}`.trim() });

/** "a + b = c" of text and live numbers. */
export function line(...parts: (string | Node)[]): HTMLElement {
  return element("p", { class: "lab-line" }, ...parts);
}

/** Write a number with four decimals; `data-value` keeps it as it is. */
export function write(target: HTMLElement, value: number, withSign = false): void {
  setText(target, withSign ? signed(value, 4) : decimal(value, 4));
  setAttribute(target, "data-value", value);
}

/** A row of a table: its head, then its cells. */
export function tableRow(head: string | Node, cells: HTMLElement[]): HTMLElement {
  return element("tr", {}, element("th", { scope: "row" }, head), ...cells);
}

/** A table of terms. */
export function termsTable(caption: string, columns: string[], rows: HTMLElement[]): HTMLElement {
  const head = columns.map((name) => element("th", { scope: "col" }, name));
  return element(
    "table",
    { class: "lab-terms" },
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows),
  );
}

/** A choice of the ten digits. */
export function digitChoice(): HTMLSelectElement {
  const options = Array.from({ length: 10 }, (_, digit) =>
    element("option", { value: digit }, String(digit)),
  );
  return element("select", {}, ...options);
}
