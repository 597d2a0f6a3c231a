/** The dock's page on which a network is trained: choices, start, pause, one step, curves. */

import { BOOK, numParameters, type Architecture, type Weights } from "../network.ts";
import { aboutKept, type AboutTraining } from "../saved.ts";
import { Trainer, type Progress, type TrainerInfo, type TrainerOptions } from "../trainer.ts";
import { addPoint, Curves, type Line } from "./curves.ts";
import { button, element, setText, wantsLessMotion } from "./dom.ts";
import { decimal, percent, whole } from "./numbers.ts";
import { RecipeChoice } from "./recipe_choice.ts";
import type { TakeHomeActions } from "./take_home.ts";
import { TrainViews } from "./train_views.ts";

export interface TrainActions {
  /** The reader begins with a new network; its weights come when the digits are there. */
  starting(): void;
  /** The network as it is after so many iterations. */
  weights(architecture: Architecture, weights: Weights, iteration: number): void;
  problem(text: string): void;
  /** Training works (again). */
  ready(): void;
  /** The network that is shown, with the reader's changes. */
  shown: TakeHomeActions["shown"];
  /** A network from a file is to be shown. */
  given: TakeHomeActions["given"];
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
  private readonly views: TrainViews;
  private readonly recipes = new RecipeChoice(() => this.describe());
  /** Whether there is a network, in training or paused. */
  private started = false;
  private running = false;
  private iteration = 0;
  private architecture: Architecture = BOOK;
  private lastShown = 0;
  /** What came since the last report that was shown. */
  private held: Progress | null = null;
  private kept: TrainerOptions | null = null;
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
  /** Shown where this browser kept training that was interrupted. */
  private readonly keptButton: HTMLButtonElement;
  private readonly status = element("p", { class: "lab-status" });
  private readonly live = element("p", { class: "lab-hidden", role: "status" });
  private readonly away = element("p", { class: "lab-hint", role: "status" });
  private readonly data = element("p", { class: "lab-hint" });
  private readonly loss: Line = { name: "of the batch", colour: "--lab-first", points: [] };
  private readonly accuracy: Line = { name: "on the batch", colour: "--lab-first", points: [] };
  private readonly tested: Line = {
    name: "on the test digits",
    colour: "--lab-second",
    dashed: true,
    points: [],
  };
  private readonly lossCurve: Curves;
  private readonly accuracyCurve: Curves;
  private readonly ribbon = element("p", { class: "lab-ribbon" });
  /** The iteration from which it read the drawing as each digit. */
  private readings: [number, string][] = [];
  readonly root = element("div", { class: "lab-train lab-equation" });
  readonly head: HTMLElement;

  constructor(private readonly actions: TrainActions) {
    this.views = new TrainViews(this.trainer, {
      shown: () => actions.shown(),
      problem: (text) => actions.problem(text),
      given: (network) => {
        // What is in training would take its place at the next report.
        this.reset();
        actions.ready();
        actions.given(network);
      },
    });
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
        " max-pooling (without it, filters move two pixels at a time)",
      ),
    );
    this.startButton = button("Start", () => void this.startOrPause(), "lab-button lab-main");
    this.stepButton = button("One step", () => void this.step());
    this.resetButton = button("Start afresh", () => this.reset());
    this.resetButton.disabled = true;
    this.keptButton = button("", () => void this.startOrPause("kept"));
    this.keptButton.hidden = true;
    this.lossCurve = new Curves("Loss", [this.loss], null);
    this.accuracyCurve = new Curves("Accuracy", [this.accuracy, this.tested], 1);
    this.head = element(
      "div",
      { class: "lab-dock-title" },
      element("h2", {}, "Train your own"),
      element(
        "div",
        { class: "lab-buttons" },
        this.startButton,
        this.stepButton,
        this.resetButton,
        this.keptButton,
      ),
      this.status,
    );
    this.root.append(
      this.views.clock.root,
      element(
        "div",
        { class: "lab-choices" },
        this.recipes.root,
        this.settings,
        this.size,
        this.data,
        this.away,
      ),
      element(
        "div",
        { class: "lab-curve-row" },
        this.lossCurve.root,
        this.accuracyCurve.root,
        this.ribbon,
      ),
      this.views.root,
      this.live,
    );
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && this.running) this.pauseAway();
    });
    this.trainer.onprogress = (progress) => this.progress(progress);
    this.trainer.onloading = (bytes, of) =>
      setText(this.status, `Loading MNIST: ${megabytes(bytes)} of ${megabytes(of)}…`);
    this.trainer.onerror = (error) => this.failed(error);
    this.describe();
    void aboutKept().then((kept) => this.offer(kept));
  }

  /** Offer to go on with training that was interrupted. */
  private offer(kept: AboutTraining | null): void {
    if (!kept || this.started || kept.iteration === kept.options.last) return;
    setText(this.keptButton, `Continue from iteration ${whole(kept.iteration)}`);
    this.keptButton.hidden = false;
    this.kept = kept.options;
  }

  private chosen(name: string): number {
    return Number(this.selects.get(name)!.value);
  }

  private describe(): void {
    this.settings.disabled = this.recipes.name === "race";
    setText(
      this.size,
      `This network learns ${whole(numParameters(this.chosenOptions().architecture))} numbers.`,
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

  private chosenOptions(): TrainerOptions {
    return this.recipes.options({
      architecture: this.chosenArchitecture(),
      learningRate: this.chosen("learningRate"),
      batchSize: this.chosen("batchSize"),
      seed: SEED,
    });
  }

  /** What cannot be chosen any more: the network is there. */
  private fix(fixed: boolean): void {
    this.recipes.root.disabled = fixed;
    this.settings.disabled = fixed || this.recipes.name === "race";
  }

  /** Make the network and load the digits, unless that was done; `false` if it cannot be. */
  private async ready(from: "new" | "kept" = "new"): Promise<boolean> {
    if (this.started) return true;
    this.fix(true);
    this.startButton.disabled = true;
    this.stepButton.disabled = true;
    this.keptButton.hidden = true;
    setText(this.status, "Loading the digits…");
    const options = from === "kept" ? this.kept! : this.chosenOptions();
    this.architecture = options.architecture;
    this.actions.starting();
    // Until this is done every control is disabled: nothing can be asked for in the meantime.
    try {
      const info = await this.trainer.start(from === "kept" ? "kept" : options);
      this.started = true;
      this.resetButton.disabled = false;
      setText(this.data, dataInWords(info));
      this.views.started(info, options);
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
    const told = latest.map(([from, one]) => `${one} (from iteration ${whole(from)})`);
    setText(this.ribbon, `Your digit was read as ${told.join(" → ")}`);
  }

  async startOrPause(from: "new" | "kept" = "new"): Promise<void> {
    if (this.running) {
      this.trainer.pause();
      this.setRunning(false);
      setText(this.live, `Paused. ${this.status.textContent}`);
    } else if (await this.ready(from)) {
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
      "Training paused when you went to another page. Choose “Continue” to carry on.",
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
    this.fix(false);
    this.views.reset();
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
    void aboutKept().then((kept) => this.offer(kept));
  }

  private setRunning(running: boolean): void {
    this.running = running;
    setText(this.away, "");
    this.nameStart();
  }

  private nameStart(): void {
    const name = this.running ? "Pause" : this.iteration > 0 ? "Continue" : "Start";
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
    this.held = { ...this.held, ...p };
    if (this.running && !p.finished && wantsLessMotion()) {
      // Seldom, and then everything at once: only some reports bring the weights.
      if (!p.weights || now - this.lastShown < CALM) return;
      this.lastShown = now;
    }
    p = this.held;
    this.held = null;
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
    this.views.update(p);
    if (p.finished && this.running) this.finished();
    if (p.weights) this.actions.weights(this.architecture, p.weights, p.iteration);
  }

  /** It came to its last step. */
  private finished(): void {
    this.setRunning(false);
    setText(this.live, `Training is done. ${this.status.textContent}`);
  }

  private failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.reset();
    this.actions.problem(`Training stopped. ${reason}`);
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** What the network learns from. */
function dataInWords({ source, numTrain, numTest, engine }: TrainerInfo): string {
  const digits =
    source === "mnist"
      ? `It learns from ${whole(numTrain)} of MNIST’s digits, and is tested on ${whole(numTest)} others.`
      : `This site was built without MNIST, so the network learns from ${whole(numTrain)} of scikit-learn’s smaller digits, which stand in for it, and is tested on ${whole(numTest)} others.`;
  return engine === "javascript" ? `${digits} Without WebAssembly it learns slowly.` : digits;
}
