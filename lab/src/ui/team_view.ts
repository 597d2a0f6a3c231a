/** How the workers share a batch: four quarters, two halves, one sum. */

import type { Progress, TrainerInfo } from "../trainer.ts";
import { element, setText } from "./dom.ts";
import { signed } from "./numbers.ts";

export class TeamView {
  private readonly words = element("p", { class: "lab-hint" });
  private readonly quarters = [0, 1, 2, 3].map(() => element("td"));
  private readonly halves = [0, 1].map(() => element("td", { colspan: 2 }));
  private readonly sum = element("td", { colspan: 4 });
  private readonly workers = element("tr");
  readonly root = element(
    "details",
    { class: "lab-team" },
    element("summary", {}, "How the work is shared"),
    this.words,
    element(
      "table",
      { class: "lab-team-sum" },
      element("caption", {}, "The gradient of one number, the bias of the logit of 0"),
      element(
        "tbody",
        {},
        this.workers,
        row("quarters", this.quarters),
        row("halves", this.halves),
        row("sum", [this.sum]),
      ),
    ),
  );

  started({ workers }: TrainerInfo): void {
    const link = element("a", { href: "../notebooks/scale.html" }, "The chapter on scale");
    const who =
      workers === 1
        ? "One worker computes all four quarters of each batch."
        : `${workers === 2 ? "Two" : "Four"} workers share each batch, as long as that is quicker than one alone: ${workers === 2 ? "two quarters" : "a quarter"} each. The weights go out to them and their gradients come back, about a megabyte each way, handed over and not copied.`;
    this.words.replaceChildren(
      `${who} The quarters are always added up in the same order, so that the weights come out the same, to the bit, however many workers there are. `,
      link,
      " does the same with several computers.",
    );
    this.workers.replaceChildren(
      element("th", { scope: "row" }, "worker"),
      ...Array.from({ length: workers }, (_, i) =>
        element("td", { colspan: 4 / workers }, String(i + 1)),
      ),
    );
  }

  update({ samples }: Progress): void {
    if (!this.root.open || samples.length !== 4) return;
    // Rounded as the workers round: to float32 after each addition.
    const halves = [Math.fround(samples[0] + samples[1]), Math.fround(samples[2] + samples[3])];
    samples.forEach((value, i) => setText(this.quarters[i], signed(value, 5)));
    halves.forEach((value, i) => setText(this.halves[i], signed(value, 5)));
    setText(this.sum, signed(Math.fround(halves[0] + halves[1]), 5));
  }
}

function row(name: string, cells: HTMLElement[]): HTMLElement {
  return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
}
