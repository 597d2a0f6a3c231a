/** The clock of training, beside the older tutorials' minutes; and, at the end, what differs. */

import type { Progress, TrainerInfo, TrainerOptions } from "../trainer.ts";
import { element, setText } from "./dom.ts";
import { percent, whole } from "./numbers.ts";
import { isRace } from "./recipe_choice.ts";

/** Minutes and seconds: 5:44. */
export function clockTime(seconds: number): string {
  const rounded = Math.floor(seconds);
  return `${Math.floor(rounded / 60)}:${String(rounded % 60).padStart(2, "0")}`;
}

export class Clock {
  private readonly time = element("span", { class: "lab-clock-time" });
  private readonly beside = element("span", {});
  private readonly differs = element("p", { class: "lab-hint" });
  readonly root = element(
    "div",
    { class: "lab-clock", hidden: true },
    element("p", {}, this.time, " ", this.beside),
    this.differs,
  );

  /** Show how long it took; `finished`: nothing more comes. */
  update(p: Progress, tested: [number, number] | null, options: TrainerOptions): void {
    this.root.hidden = false;
    setText(this.time, `${p.seconds < 60 ? `${p.seconds.toFixed(1)} s` : clockTime(p.seconds)}`);
    const right = tested
      ? ` ${percent(tested[0])} of ${whole(tested[1])} test digits are read right.`
      : "";
    setText(
      this.beside,
      `of training.${right} The older tutorials took 5 min 44 s to reach 98.8%, and 9 min 27 s to reach 98.5%.`,
    );
    this.differs.hidden = !isRace(options);
  }

  /** What differs from the older tutorials. */
  started(info: TrainerInfo, options: TrainerOptions): void {
    this.root.hidden = true;
    const digits =
      info.source === "mnist" && info.numTrain > 10_000
        ? `${whole(750 * 32)} of ${whole(info.numTrain)} training images, each seen once`
        : `${whole(info.numTrain)} digits: this site has no more`;
    const link = element("a", { href: "../notebooks/fewer_steps.html" }, "Fewer steps");
    this.differs.replaceChildren(
      "The network is the same, and looks at each test digit only once. What differs: it takes 750 steps of 32 images where they took 10,000 of 64, its learning rate rises and falls, " +
        `its first weights fit the layers’ sizes, and its labels are smoothed. It learns from ${digits}. And your computer is not theirs. `,
      link,
      " says why these steps are enough.",
    );
    this.differs.hidden = !isRace(options);
  }

  reset(): void {
    this.root.hidden = true;
  }
}
