/** The bar above the picture: which network, training, undoing, sums, a link. */

import { button, element, setText } from "./dom.ts";
import { whole } from "./numbers.ts";

export interface BarActions {
  chooseNetwork(name: string): void;
  train(): void;
  undoChanges(): void;
  showSums(shown: boolean): void;
  copyLink(): void;
}

/** Name of the network that the reader trains on the page. */
export const MINE = "mine";

export class Bar {
  readonly root: HTMLElement;
  readonly trainButton: HTMLButtonElement;
  private readonly radios = new Map<string, HTMLInputElement>();
  private readonly mineLabel = element("span", {}, "yours");
  private readonly undoButton: HTMLButtonElement;
  private readonly sums = element("input", { type: "checkbox" });
  private readonly sumsLabel = element(
    "label",
    { class: "lab-check" },
    this.sums,
    " Sums before ReLU",
  );

  constructor(names: string[], actions: BarActions, ...more: HTMLElement[]) {
    this.trainButton = button("▶ Train my own", () => actions.train(), "lab-button lab-main");
    this.undoButton = button("Undo changes", () => actions.undoChanges());
    this.undoButton.disabled = true;
    this.sums.addEventListener("change", () => actions.showSums(this.sums.checked));
    this.sumsLabel.title = "Show the first two layers before pooling and ReLU";
    const link = button("Copy a link", () => actions.copyLink());
    this.root = element(
      "div",
      { class: "lab-bar-row", role: "group", "aria-label": "The network" },
      this.choice([...names, MINE], (name) => actions.chooseNetwork(name)),
      this.trainButton,
      this.undoButton,
      this.sumsLabel,
      link,
      ...more,
    );
  }

  private choice(names: string[], choose: (name: string) => void): HTMLElement {
    const options = element("div", { class: "lab-segments" });
    for (const name of names) {
      const radio = element("input", { type: "radio", name: "lab-network", value: name });
      radio.addEventListener("change", () => choose(name));
      this.radios.set(name, radio);
      const words = name === MINE ? this.mineLabel : element("span", {}, whole(Number(name)));
      options.append(
        element("label", name === MINE ? { class: "lab-mine", hidden: true } : {}, radio, words),
      );
    }
    const legend = element("legend", {}, "iterations");
    legend.title = "The network after this many iterations of training";
    return element("fieldset", { class: "lab-network" }, legend, options);
  }

  markChoice(network: string): void {
    for (const [name, radio] of this.radios) radio.checked = name === network;
  }

  /** What the button that trains does now: `name` is what training itself calls it. */
  nameTraining(name: string): void {
    const names: Record<string, string> = {
      Pause: "Pause training",
      Continue: "▶ Continue training",
    };
    setText(this.trainButton, names[name] ?? "▶ Train my own");
  }

  /** The reader's own network is there, or has got further. */
  showMine(iteration: number): void {
    this.radios.get(MINE)!.parentElement!.hidden = false;
    setText(this.mineLabel, `yours (${whole(iteration)})`);
  }

  /** @param changes How many filters are changed. */
  update(changes: number, sums: boolean, canShowSums: boolean): void {
    this.undoButton.disabled = changes === 0;
    this.sums.checked = sums;
    this.sums.disabled = !canShowSums;
  }
}
