/**
 * What the network makes of the drawing: its guess, and for each digit a bar left or right of zero.
 *
 * Bars show the logits: a change that softmax hides is plain to see there. A ghost stands where the
 * bar would end without the reader's changes, and a mark shows a chosen number's part in it.
 */

import { crossEntropy, guess } from "../network.ts";
import type { Cell } from "./cells.ts";
import { afterwards, element, setAttribute, setText } from "./dom.ts";
import type { Box, Layout } from "./layout.ts";
import { decimal, percent, roundUp } from "./numbers.ts";
import { rove } from "./roving.ts";
import type { State } from "./state.ts";
import { digitChoice } from "./view_parts.ts";

type Score = "logits" | "probabilities";

/** The guess and the runner-up of ten probabilities. */
export function ranked(probabilities: Float32Array): [number, number] {
  const order = Array.from(probabilities.keys()).sort(
    (a, b) => probabilities[b] - probabilities[a],
  );
  return [order[0], order[1]];
}

/** Whether there is no ink. */
export function isBlank(state: State): boolean {
  return !state.activations.input.some((ink) => ink > 0);
}

/** A logit as the bars tell it. */
export const short = (logit: number): string => decimal(logit, 1);

/** "logit of 7: 15.3 → 11.9": of the logit that changed most. */
export function changeInWords(before: Float32Array, after: Float32Array): string {
  let most = 0;
  after.forEach((value, digit) => {
    if (Math.abs(value - before[digit]) > Math.abs(after[most] - before[most])) most = digit;
  });
  return `logit of ${most}: ${short(before[most])} → ${short(after[most])}`;
}

interface Row {
  root: HTMLElement;
  track: HTMLElement;
  bar: HTMLElement;
  ghost: HTMLElement;
  part: HTMLElement;
  text: HTMLElement;
  share: HTMLElement;
}

export class Scores {
  readonly root: HTMLElement;
  private readonly digit = element("span", { class: "lab-digit" });
  private readonly words = element("span", { class: "lab-confidence" });
  private readonly rows: Row[];
  private readonly meant = digitChoice();
  private readonly verdict = element("span", { class: "lab-verdict" });
  private readonly live = element("p", { class: "lab-hidden", role: "status" });
  private readonly announceSoon = afterwards(700, () => this.announce());
  private state: State | null = null;
  private low = -1;
  private high = 1;
  /** Where the rows stand: measured once, not in every frame. */
  private rowBoxes: { top: number; height: number }[] | null = null;

  constructor(choose: (cell: Cell) => void, hover: (cell: Cell | null) => void) {
    this.rows = Array.from({ length: 10 }, (_, digit) => newRow(digit));
    const targets: { cell: HTMLElement; target: Cell }[] = this.rows.flatMap((row, index) => [
      { cell: row.track, target: { layer: "logits", index } },
      { cell: row.share, target: { layer: "probabilities", index } },
    ]);
    for (const { cell, target } of targets) {
      cell.addEventListener("pointerenter", (event) => {
        if (event.pointerType === "mouse") hover(target);
      });
      cell.addEventListener("pointerleave", () => hover(null));
    }
    rove(
      targets.map(({ cell }) => cell),
      2,
      (index) => choose(targets[index].target),
      (index) => choose(targets[index].target),
    );
    this.meant.prepend(element("option", { value: "", selected: true }, "…"));
    this.meant.addEventListener("change", () => this.judge());
    this.root = element(
      "div",
      { class: "lab-scores" },
      element(
        "p",
        { class: "lab-answer" },
        element("span", { class: "lab-reads" }, "It reads "),
        this.digit,
        " ",
        this.words,
      ),
      element(
        "div",
        { class: "lab-bars", role: "grid", "aria-label": "Logits and probabilities" },
        ...this.rows.map(({ root }) => root),
      ),
      element(
        "p",
        { class: "lab-meant" },
        element("label", {}, "You meant ", this.meant),
        " ",
        this.verdict,
      ),
      this.live,
    );
  }

  place({ scores }: Layout): void {
    this.rowBoxes = null;
    Object.assign(this.root.style, {
      left: `${scores.left}px`,
      top: `${scores.top}px`,
      width: `${scores.width}px`,
      height: `${scores.height}px`,
    });
  }

  /** @param without What the logits would be without the reader's changes. */
  update(state: State, without: Float32Array | null): void {
    this.state = state;
    const { logits, probabilities } = state.activations;
    const [first, second] = ranked(probabilities);
    const blank = isBlank(state);
    setText(this.digit, blank ? "–" : String(first));
    setText(
      this.words,
      blank
        ? "The paper is empty: draw a digit."
        : `${percent(probabilities[first])} sure; next comes ${second} with ${percent(probabilities[second])}`,
    );
    const all = [...logits, ...(without ?? [])];
    this.low = -roundUp(Math.max(1, -Math.min(...all)));
    this.high = roundUp(Math.max(1, ...all));
    this.rows.forEach((row, digit) => {
      const logit = logits[digit];
      const before = without ? without[digit] : logit;
      this.span(row.bar, 0, logit);
      row.bar.classList.toggle("lab-negative", logit < 0);
      this.span(row.ghost, 0, before);
      setAttribute(row.ghost, "hidden", without === null);
      setAttribute(row.track, "data-value", logit);
      setAttribute(row.track, "data-before", without ? before : undefined);
      const changed = short(before) !== short(logit);
      const text = changed ? `${short(before)} → ${short(logit)}` : short(logit);
      setText(row.text, text);
      row.text.classList.toggle("lab-changed", changed);
      setText(row.share, percent(probabilities[digit]));
      setAttribute(row.share, "data-value", probabilities[digit]);
      row.root.classList.toggle("lab-first", digit === first && !blank);
      setAttribute(row.track, "aria-label", `logit of ${digit}: ${text}`);
      setAttribute(
        row.share,
        "aria-label",
        `probability of ${digit}: ${percent(probabilities[digit])}`,
      );
    });
    this.judge();
    this.announceSoon();
  }

  /** Mark a chosen number's part in each logit; `null` for none. */
  mark(parts: Float32Array | null): void {
    this.rows.forEach(({ part, track }, digit) => {
      setAttribute(part, "hidden", parts === null);
      const logit = this.state!.activations.logits[digit];
      if (parts) this.span(part, logit - parts[digit], logit);
      setAttribute(track, "data-part", parts ? parts[digit] : undefined);
    });
  }

  /** Lay an element from one value to another. */
  private span(target: HTMLElement, from: number, to: number): void {
    const width = this.high - this.low;
    const keep = (value: number): number => Math.min(Math.max(value, this.low), this.high);
    const [start, end] = [keep(Math.min(from, to)), keep(Math.max(from, to))];
    target.style.setProperty("--start", `${(100 * (start - this.low)) / width}%`);
    target.style.setProperty("--length", `${(100 * (end - start)) / width}%`);
  }

  /** Where a wire to a digit ends, on the stage. */
  box(digit: number, { scores, wide }: Layout): Box {
    this.rowBoxes ??= this.rows.map(({ root }) => ({
      top: root.offsetTop,
      height: root.offsetHeight,
    }));
    const { top, height } = this.rowBoxes[digit];
    return wide
      ? { left: scores.left, top: scores.top + top, width: 0, height }
      : { left: ((digit + 0.5) * scores.width) / 10, top: scores.top + top, width: 0, height: 0 };
  }

  choose(cell: Cell | null): void {
    for (const layer of ["logits", "probabilities"] as const) {
      for (const [digit, row] of this.rows.entries()) {
        const target = cellOf(row, layer);
        const chosen = cell?.layer === layer && cell.index === digit;
        target.classList.toggle("lab-picked", chosen);
        setAttribute(target, "aria-selected", chosen ? "true" : "false");
      }
    }
  }

  focus(cell: Cell): void {
    cellOf(this.rows[cell.index], cell.layer as Score).focus();
  }

  /** Forget what the reader meant: it was another drawing. */
  forget(): void {
    this.meant.value = "";
  }

  private judge(): void {
    if (!this.state || this.meant.value === "" || isBlank(this.state)) {
      setText(this.verdict, "");
      return;
    }
    const label = Number(this.meant.value);
    const { logits } = this.state.activations;
    const right = guess(logits) === label ? "right" : "wrong";
    setText(this.verdict, `${right}, a loss of ${decimal(crossEntropy(logits, label))}`);
  }

  private announce(): void {
    if (!this.state) return;
    const { probabilities } = this.state.activations;
    const [first, second] = ranked(probabilities);
    setText(
      this.live,
      isBlank(this.state)
        ? "The paper is empty."
        : `The network reads ${first}, ${percent(probabilities[first])}. Next comes ${second}, ${percent(probabilities[second])}.`,
    );
  }
}

function newRow(digit: number): Row {
  const bar = element("span", { class: "lab-bar" });
  const ghost = element("span", { class: "lab-ghost", hidden: true });
  const part = element("span", { class: "lab-part", hidden: true });
  const text = element("span", { class: "lab-logit" });
  const track = element(
    "div",
    { role: "gridcell", class: "lab-score" },
    element("span", { class: "lab-track" }, bar, ghost, part),
    text,
  );
  const share = element("div", { role: "gridcell", class: "lab-share" });
  const root = element(
    "div",
    { role: "row", class: "lab-row" },
    element("div", { role: "rowheader", class: "lab-label" }, String(digit)),
    track,
    share,
  );
  return { root, track, bar, ghost, part, text, share };
}

function cellOf(row: Row, layer: Score): HTMLElement {
  return layer === "logits" ? row.track : row.share;
}
