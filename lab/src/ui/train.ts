/** The dock's page on which a network is trained: choices, start, pause, one step, curves. */

import { BOOK, numParameters, type Architecture, type Weights } from "../network.ts";
import { Trainer, type Progress, type TrainerInfo } from "../trainer.ts";
import { addPoint, Curves, type Line } from "./curves.ts";
import { button, element, setText, wantsLessMotion } from "./dom.ts";
import { decimal, percent, whole } from "./numbers.ts";

export interface TrainActions {
  /** The reader begins with a new network; its weights come when the digits are there. */
  starting(): void;
  /** The network as it is after so many iterations. */
  weights(architecture: Architecture, weights: Weights, iteration: number): void;
  problem(text: string): void;
  /** Training works (again). */
  ready(): void;
  /** It runs, or waits: what the button that starts it should say. */
  named(name: string): void;
}

const SEED = 1;
/** Milliseconds between two reports that are shown to readers who want less motion. */
const CALM = 3000;

interface Choice {
  name: string;
  label: string;
  values: number[];
  start: number;
}

const CHOICES: Choice[] = [
  {
    name: "numFilters1",
    label: "filters in the first layer",
    values: [4, 8, 16, 32],
    start: BOOK.numFilters1,
  },
  {
    name: "numFilters2",
    label: "filters in the second",
    values: [8, 16, 36, 64],
    start: BOOK.numFilters2,
  },
  { name: "filterSize", label: "filter size", values: [3, 5, 7], start: BOOK.filterSize },
  {
    name: "learningRate",
    label: "learning rate",
    values: [0.00001, 0.0001, 0.001, 0.01, 0.1],
    start: 0.001,
  },
  { name: "batchSize", label: "images in a batch", values: [8, 16, 32, 64, 128], start: 64 },
];

export class Train {
  private readonly trainer = new Trainer();
  /** Whether there is a network, in training or paused. */
  private started = false;
  private running = false;
  private iteration = 0;
  private architecture: Architecture = BOOK;
  private lastShown = 0;
  private readonly selects = new Map<string, HTMLSelectElement>();
  private readonly pooling = element("input", { type: "checkbox", checked: true });
  private readonly settings = element(
    "fieldset",
    { class: "lab-settings" },
    element("legend", {}, "Your network"),
  );
  private readonly size = element("p", { class: "lab-hint" });
  private readonly startButton: HTMLButtonElement;
  private readonly stepButton: HTMLButtonElement;
  private readonly resetButton: HTMLButtonElement;
  private readonly status = element("p", { class: "lab-status" });
  private readonly live = element("p", { class: "lab-hidden", role: "status" });
  private readonly away = element("p", { class: "lab-hint", role: "status" });
  private readonly data = element("p", { class: "lab-hint" });
  private readonly loss: Line = { name: "of the batch", colour: "--lab-first", points: [] };
  private readonly accuracy: Line = { name: "of the batch", colour: "--lab-first", points: [] };
  private readonly tested: Line = {
    name: "of the test digits",
    colour: "--lab-second",
    dashed: true,
    points: [],
  };
  private readonly lossCurve: Curves;
  private readonly accuracyCurve: Curves;
  private readonly ribbon = element("p", { class: "lab-ribbon" });
  /** From which iteration on it read the drawing as which digit. */
  private readings: [number, string][] = [];
  readonly root = element("div", { class: "lab-train lab-equation" });
  readonly head: HTMLElement;

  constructor(private readonly actions: TrainActions) {
    for (const { name, label, values, start } of CHOICES) {
      const select = element(
        "select",
        {},
        ...values.map((value) =>
          element("option", { value, selected: value === start }, String(value)),
        ),
      );
      select.addEventListener("change", () => this.describe());
      this.selects.set(name, select);
      this.settings.append(element("label", {}, `${label} `, select));
    }
    this.pooling.addEventListener("change", () => this.describe());
    this.settings.append(
      element(
        "label",
        { class: "lab-check" },
        this.pooling,
        " max-pooling (without it filters move by two pixels)",
      ),
    );
    this.startButton = button("Start", () => void this.startOrPause(), "lab-button lab-main");
    this.stepButton = button("One step", () => void this.step());
    this.resetButton = button("Start afresh", () => this.reset());
    this.resetButton.disabled = true;
    this.lossCurve = new Curves("Loss", [this.loss], null);
    this.accuracyCurve = new Curves("Accuracy", [this.accuracy, this.tested], 1);
    this.head = element(
      "div",
      { class: "lab-dock-title" },
      element("h2", {}, "Train your own"),
      element("div", { class: "lab-buttons" }, this.startButton, this.stepButton, this.resetButton),
      this.status,
    );
    this.root.append(
      element("div", { class: "lab-choices" }, this.settings, this.size, this.data, this.away),
      element(
        "div",
        { class: "lab-curve-row" },
        this.lossCurve.root,
        this.accuracyCurve.root,
        this.ribbon,
      ),
      this.live,
    );
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && this.running) this.pauseAway();
    });
    this.trainer.onprogress = (progress) => this.progress(progress);
    this.trainer.onerror = (error) => this.failed(error);
    this.describe();
  }

  private chosen(name: string): number {
    return Number(this.selects.get(name)!.value);
  }

  private describe(): void {
    setText(
      this.size,
      `This network learns ${whole(numParameters(this.chosenArchitecture()))} numbers.`,
    );
  }

  private chosenArchitecture(): Architecture {
    return {
      filterSize: this.chosen("filterSize"),
      numFilters1: this.chosen("numFilters1"),
      numFilters2: this.chosen("numFilters2"),
      fcSize: BOOK.fcSize,
      pooling: this.pooling.checked,
    };
  }

  /** Make the network and load the digits, unless that was done; `false` if it cannot be. */
  private async ready(): Promise<boolean> {
    if (this.started) return true;
    this.settings.disabled = true;
    this.startButton.disabled = true;
    this.stepButton.disabled = true;
    setText(this.status, "Loading the digits…");
    this.architecture = this.chosenArchitecture();
    this.actions.starting();
    // Until this is done every control is disabled: nothing can be asked for in the meantime.
    try {
      const info = await this.trainer.start({
        architecture: this.architecture,
        learningRate: this.chosen("learningRate"),
        batchSize: this.chosen("batchSize"),
        seed: SEED,
      });
      this.started = true;
      this.resetButton.disabled = false;
      setText(this.data, dataInWords(info));
      this.actions.ready();
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    } finally {
      this.startButton.disabled = false;
      this.stepButton.disabled = false;
    }
  }

  /** What the reader's drawing is read as now. */
  read(digit: string): void {
    if (this.readings.at(-1)?.[1] === digit) return;
    this.readings.push([this.iteration, digit]);
    const latest = this.readings.slice(-12);
    const told = latest.map(([from, one]) => `${one} (from ${whole(from)})`);
    setText(this.ribbon, `Your digit was read as ${told.join(" → ")}`);
  }

  async startOrPause(): Promise<void> {
    if (this.running) {
      this.trainer.pause();
      this.setRunning(false);
      setText(this.live, `Paused. ${this.status.textContent}`);
    } else if (await this.ready()) {
      this.trainer.run();
      this.setRunning(true);
      setText(this.live, "Training.");
      if (document.hidden) this.pauseAway();
    }
  }

  /** Nobody sees it learn: another page has the reader, and should have the processor. */
  private pauseAway(): void {
    this.trainer.pause();
    this.setRunning(false);
    setText(
      this.away,
      "Training paused while you looked at another page. Choose “Go on” to train on.",
    );
  }

  private async step(): Promise<void> {
    if (!(await this.ready())) return;
    // A step while it runs: it pauses first, so that one step is one step.
    if (this.running) this.trainer.pause();
    this.trainer.step();
    this.setRunning(false);
  }

  private reset(): void {
    if (this.running) this.trainer.pause();
    this.started = false;
    this.settings.disabled = false;
    this.resetButton.disabled = true;
    this.iteration = 0;
    this.setRunning(false);
    this.readings = [];
    setText(this.ribbon, "");
    for (const line of [this.loss, this.accuracy, this.tested]) line.points = [];
    this.lossCurve.draw();
    this.accuracyCurve.draw();
    setText(this.status, "");
    setText(this.live, "The next start makes a new network.");
  }

  private setRunning(running: boolean): void {
    this.running = running;
    setText(this.away, "");
    this.nameStart();
  }

  private nameStart(): void {
    const name = this.running ? "Pause" : this.iteration > 0 ? "Go on" : "Start";
    setText(this.startButton, name);
    this.actions.named(name);
  }

  private progress(p: Progress): void {
    // A last report may come after "Start afresh".
    if (!this.started) return;
    this.iteration = p.iteration;
    this.nameStart();
    addPoint(this.loss, p.iteration, p.loss);
    addPoint(this.accuracy, p.iteration, p.accuracy);
    if (p.testAccuracy !== undefined) addPoint(this.tested, p.iteration, p.testAccuracy);
    const now = performance.now();
    if (this.running && wantsLessMotion()) {
      // Seldom, and then everything at once: only some reports bring the weights.
      if (!p.weights || now - this.lastShown < CALM) return;
      this.lastShown = now;
    }
    this.lossCurve.draw();
    this.accuracyCurve.draw();
    const test = this.tested.points.at(-1)?.[1];
    setText(
      this.status,
      `Iteration ${whole(p.iteration)}: loss ${decimal(p.loss)}, ${percent(p.accuracy)} of the batch right` +
        (test === undefined ? "" : `, ${percent(test)} of the test digits`) +
        (p.msPerStep > 0
          ? `. ${decimal(1000 / p.msPerStep, p.msPerStep < 100 ? 0 : 1)} steps a second.`
          : "."),
    );
    if (p.weights) this.actions.weights(this.architecture, p.weights, p.iteration);
  }

  private failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.reset();
    this.actions.problem(`Training stopped. ${reason}`);
  }
}

/** What the network learns from. */
function dataInWords({ source, numTrain, numTest, engine }: TrainerInfo): string {
  const digits =
    source === "mnist"
      ? `It learns from ${whole(numTrain)} digits of MNIST, and is tested on ${whole(numTest)} others.`
      : `This site was built without MNIST: it learns from ${whole(numTrain)} of scikit-learn’s smaller digits, which stand in for it, and is tested on ${whole(numTest)} others.`;
  return engine === "javascript" ? `${digits} Without WebAssembly it learns slowly.` : digits;
}
