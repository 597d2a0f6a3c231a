/** The arithmetic of what is simple: a pixel, a number of the flattened layer, a probability. */

import { softmaxSteps } from "./arithmetic.ts";
import { placeOf, type Cell } from "./cells.ts";
import { button, element, setText } from "./dom.ts";
import { decimal } from "./numbers.ts";
import type { State } from "./state.ts";
import {
  line,
  out,
  tableRow,
  termsTable,
  write,
  type View,
  type ViewActions,
} from "./view_parts.ts";

export class InputView implements View {
  readonly root = element("div");
  private readonly text = line();

  constructor() {
    this.root.append(this.text);
  }

  update(state: State, cell: Cell): void {
    const share = Math.round(state.activations.input[cell.index] * 100);
    setText(
      this.text,
      `This is where the numbers begin: ink covers ${share}% of this pixel of your drawing, once it is scaled to fit 20×20 pixels and centred, as MNIST’s digits were. 0 is paper, 1 is ink.`,
    );
  }
}

export class FlatView implements View {
  readonly root = element("div");
  private readonly text = line();
  private index = 0;

  constructor(actions: ViewActions) {
    const go = (): void => actions.choose({ layer: "pool2", index: this.index }, true);
    this.root.append(this.text, button("Go to it in layer 2", go));
  }

  update(state: State, cell: Cell): void {
    this.index = cell.index;
    const [row, column, picture] = placeOf(state.shapes.pool2, cell.index);
    const [, width, count] = state.shapes.pool2;
    setText(
      this.text,
      `Nothing is computed here. Number ${cell.index} is picture ${picture} of layer 2 at row ${row}, column ${column}: (${row} × ${width} + ${column}) × ${count} + ${picture} = ${cell.index}.`,
    );
  }
}

export class SoftmaxView implements View {
  readonly root = element("div", { class: "lab-equation" });
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
    const columns = ["digit", "logit minus the largest", "e to that power", "share"];
    const table = (caption: string, from: number): HTMLElement => {
      const rows = this.rows.slice(from, from + 5).map(({ root }) => root);
      return termsTable(caption, columns, rows);
    };
    this.root.append(
      table("Softmax, step by step", 0),
      table("and the other five", 5),
      element("div", { class: "lab-sums" }, line("sum of all ten powers ", this.total), this.text),
    );
  }

  update(state: State, cell: Cell): void {
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
      `The share of ${cell.index}: ${decimal(steps.powers[cell.index], 4)} / ${decimal(steps.total, 4)} = ${decimal(steps.shares[cell.index], 4)}. Subtracting the largest logit first changes no share, and keeps the powers small.`,
    );
  }
}
