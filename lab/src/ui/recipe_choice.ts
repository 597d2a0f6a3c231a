/** By which recipe a network is trained: the reader's choices, or the race's first one. */

import { BOOK } from "../network.ts";
import type { TrainerOptions } from "../trainer.ts";
import { element, newId } from "./dom.ts";

export type RecipeName = "own" | "race";

/**
 * The first recipe of the race (`WARM_UP` in `mnist_helpers/speed/race.py`), a little longer: it
 * looks at each test digit once, where the race looks five times.
 */
const RACE = {
  architecture: BOOK,
  learningRate: 6e-3,
  batchSize: 32,
  start: "he",
  cycle: 750,
  last: 750,
  labelSmoothing: 0.05,
  digits: "all",
} as const satisfies Partial<TrainerOptions>;

/** Steps of the book's own training. */
const BOOK_STEPS = 10_000;

export class RecipeChoice {
  readonly root: HTMLFieldSetElement;
  private readonly inputs = new Map<RecipeName, HTMLInputElement>();
  private readonly all = element("input", { type: "checkbox" });

  constructor(private readonly onchange: () => void) {
    this.root = element(
      "fieldset",
      { class: "lab-recipes" },
      element("legend", {}, "Recipe"),
      this.option("own", "my choices, up to 10,000 steps at one learning rate"),
      this.option("race", "the quickest: 98.8% in 750 steps, on all of MNIST (11 MB)"),
      element(
        "label",
        { class: "lab-check" },
        this.all,
        " with my choices, learn from all of MNIST too (11 MB)",
      ),
    );
    this.inputs.get("own")!.checked = true;
  }

  private option(name: RecipeName, words: string): HTMLElement {
    const input = element("input", { type: "radio", name: "lab-recipe", id: newId("recipe") });
    input.addEventListener("change", () => {
      this.all.disabled = this.name === "race";
      this.onchange();
    });
    this.inputs.set(name, input);
    return element("label", { class: "lab-check" }, input, ` ${words}`);
  }

  get name(): RecipeName {
    return this.inputs.get("race")!.checked ? "race" : "own";
  }

  /** What to train by, given the reader's own choices. */
  options(own: TrainerOptions): TrainerOptions {
    if (this.name === "race") return { ...own, ...RACE };
    return { ...own, last: BOOK_STEPS, digits: this.all.checked ? "all" : "some" };
  }
}

/** Whether a network is trained by the race's recipe. */
export function isRace({ cycle }: TrainerOptions): boolean {
  return cycle === RACE.cycle;
}
