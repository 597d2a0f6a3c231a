/** The confusion matrix of the test digits: it fills while a network learns, and opens its digits. */

import { NO_GUESS, type TestDigits, type Trainer } from "../trainer.ts";
import { element, quietButton, setAttribute, setText } from "./dom.ts";
import { ONE_SIGN, paint } from "./colours.ts";
import { plural } from "./numbers.ts";
import { rove } from "./roving.ts";

const DIGITS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/** How many digits of a cell are shown. */
const MOST = 40;

/** How often each digit was taken for each other: `[label][guess]`, flat. */
export function confusionOf(labels: Uint8Array, guesses: Uint8Array): Uint32Array {
  const counts = new Uint32Array(100);
  labels.forEach((label, n) => {
    if (guesses[n] !== NO_GUESS) counts[10 * label + guesses[n]] += 1;
  });
  return counts;
}

export class Confusion {
  private readonly cells: HTMLButtonElement[] = [];
  private readonly told = element("p", { class: "lab-hint", role: "status" });
  private readonly digits = element("div", { class: "lab-confused" });
  private readonly closeButton = quietButton("Close", () => this.close());
  readonly root: HTMLElement;
  private labels: Uint8Array | null = null;
  private guesses: Uint8Array | null = null;
  private open = -1;
  /** The latest request to see digits: what comes late for an earlier one is dropped. */
  private wish = 0;

  constructor(private readonly trainer: Trainer) {
    const head = element(
      "tr",
      {},
      element("th", { scope: "col" }, "is \u2193 read as \u2192"),
      ...DIGITS.map((digit) => element("th", { scope: "col" }, String(digit))),
    );
    const rows = DIGITS.map((label) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, String(label)),
        ...DIGITS.map(() => element("td", {}, this.cell())),
      ),
    );
    const table = element(
      "table",
      { class: "lab-matrix" },
      element("caption", {}, "The test digits, and what the network takes them for"),
      element("thead", {}, head),
      element("tbody", {}, ...rows),
    );
    rove(this.cells, 10, (at) => void this.show(at));
    this.closeButton.hidden = true;
    this.root = element(
      "section",
      { class: "lab-confusion", hidden: true, "aria-label": "Test digits" },
      table,
      element("div", {}, this.told, this.digits, this.closeButton),
    );
  }

  private cell(): HTMLButtonElement {
    const made = element("button", { type: "button" });
    this.cells.push(made);
    return made;
  }

  /** Take the latest guesses; the labels are asked for once. */
  async update(guesses: Uint8Array): Promise<void> {
    this.guesses = guesses;
    if (this.labels === null) {
      this.labels = new Uint8Array();
      const all = Array.from(guesses.keys());
      this.labels = (await this.trainer.show(all, false)).labels;
    }
    if (this.labels.length !== guesses.length || this.guesses !== guesses) return;
    this.root.hidden = false;
    const counts = confusionOf(this.labels, guesses);
    // The right ones, on the diagonal, are so many that beside them the mistakes would be nothing.
    const most = counts.reduce((so, count, at) => (at % 11 === 0 ? so : Math.max(so, count)), 1);
    this.cells.forEach((cell, at) => {
      const [label, guess] = [Math.floor(at / 10), at % 10];
      const count = counts[at];
      setText(cell, String(count));
      const words =
        label === guess
          ? `${label} read right: ${plural(count, "time")}`
          : `${label} read as ${guess}: ${plural(count, "time")}`;
      setAttribute(cell, "aria-label", words);
      if (label === guess) cell.style.backgroundColor = cell.style.color = "";
      else paint(cell, { map: ONE_SIGN, low: 0, high: most }, count);
    });
  }

  /** Show the digits of a cell. */
  private async show(at: number): Promise<void> {
    if (!this.labels || !this.guesses) return;
    const wish = ++this.wish;
    const [label, guess] = [Math.floor(at / 10), at % 10];
    const { labels, guesses } = this;
    const found = Array.from(labels.keys()).filter(
      (n) => labels[n] === label && guesses[n] === guess,
    );
    const shown = found.slice(0, MOST);
    const digits = await this.trainer.show(shown);
    if (wish !== this.wish) return;
    if (this.open >= 0) this.cells[this.open].classList.remove("lab-open");
    this.open = at;
    this.cells[at].classList.add("lab-open");
    const more = found.length > MOST ? `, the first ${MOST} of them here` : "";
    setText(
      this.told,
      found.length === 0
        ? `No ${label} is read as ${guess}.`
        : `${label} read as ${guess}: ${plural(found.length, "time")}${more}.`,
    );
    this.digits.replaceChildren(...pictures(digits, shown, guess));
    this.closeButton.hidden = false;
  }

  private close(): void {
    this.wish += 1;
    const { open } = this;
    this.digits.replaceChildren();
    setText(this.told, "");
    this.closeButton.hidden = true;
    if (open < 0) return;
    this.open = -1;
    this.cells[open].classList.remove("lab-open");
    this.cells[open].focus();
  }

  reset(): void {
    this.close();
    this.labels = this.guesses = null;
    this.root.hidden = true;
  }
}

function pictures({ images, labels }: TestDigits, numbers: number[], guess: number): HTMLElement[] {
  return numbers.map((number, n) => {
    const canvas = element("canvas", {
      width: 28,
      height: 28,
      role: "img",
      "aria-label": `test digit ${number}: ${labels[n]}, read as ${guess}`,
      title: `test digit ${number}`,
    });
    const context = canvas.getContext("2d")!;
    const data = context.createImageData(28, 28);
    for (let i = 0; i < 784; i += 1) {
      data.data.fill(255 - images[n * 784 + i], 4 * i, 4 * i + 3);
      data.data[4 * i + 3] = 255;
    }
    context.putImageData(data, 0, 0);
    return canvas;
  });
}
