/** Files: the network that is shown for Python, and a network of the reader's own for the page. */

import { loadDigits } from "../data.ts";
import { BOOK, type Architecture, type Weights } from "../network.ts";
import { checkpointFile, readNetwork, trainingFile, type GivenNetwork } from "../take_home.ts";
import type { TrainerInfo, TrainerOptions } from "../trainer.ts";
import { button, element, setText } from "./dom.ts";
import { whole } from "./numbers.ts";

export interface TakeHomeActions {
  /** The network that is shown, with the reader's changes. */
  shown(): {
    architecture: Architecture;
    weights: Weights;
    iterations: number;
    /** Whether the numbers are exact; those of the first look are only nearly so. */
    exact: boolean;
  };
  /** A network from a file is to be shown. */
  given(network: GivenNetwork): void;
  /** A file was refused. */
  problem(text: string): void;
}

/** A network in training, as it was last reported. */
export interface Trained {
  options: TrainerOptions;
  info: TrainerInfo;
  weights: Weights;
  iteration: number;
}

/** Larger files are refused before they are read. */
const MOST_BYTES = 32_000_000;

export class TakeHome {
  private readonly told = element("p", { class: "lab-hint", role: "status" });
  private readonly trainingButton: HTMLButtonElement;
  private readonly input = element("input", { type: "file", accept: ".npz" });
  private trained: Trained | null = null;
  readonly root: HTMLDetailsElement;

  constructor(private readonly actions: TakeHomeActions) {
    this.trainingButton = button("This training, as Python (.zip)", () => void this.saveTraining());
    this.trainingButton.hidden = true;
    this.input.addEventListener("change", () => {
      void this.take(this.input.files?.[0]);
      this.input.value = "";
    });
    this.root = element(
      "details",
      { class: "lab-take-home" },
      element("summary", {}, "Take it home, or bring one along"),
      element(
        "p",
        { class: "lab-hint" },
        "This page writes the file, and it stays on your computer. In Python, load_checkpoint(path) from the book’s package reads it. A file that save_checkpoint(net, path) wrote can be opened here, or dropped on this page.",
      ),
      element(
        "p",
        { class: "lab-buttons" },
        button("The network that is shown (.npz)", () => this.saveShown()),
        this.trainingButton,
        element("label", {}, "Open a network: ", this.input),
      ),
      this.told,
    );
    this.listen();
  }

  /** A network may be dropped anywhere; other files are for others. */
  private listen(): void {
    document.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (event.defaultPrevented || !file) return;
      // Without this the browser would leave the page for the file.
      event.preventDefault();
      this.root.open = true;
      void this.take(file);
    });
  }

  /** The network in training has got further; `null`: there is none any more. */
  training(trained: Trained | null): void {
    this.trained = trained;
    this.trainingButton.hidden = trained === null || !isBooks(trained.options.architecture);
  }

  private saveShown(): void {
    const { architecture, weights, iterations, exact } = this.actions.shown();
    if (!exact) {
      setText(this.told, "The exact numbers are on their way: try again in a moment.");
      return;
    }
    save(checkpointFile(architecture, weights, iterations), "network.npz");
    setText(
      this.told,
      isBooks(architecture)
        ? 'network.npz has been saved. In Python: net = load_checkpoint("network.npz")'
        : "network.npz has been saved. It is not the book’s network: NumPy reads it, and so does this page, but load_checkpoint takes only the book’s.",
    );
  }

  private async saveTraining(): Promise<void> {
    const { trained } = this;
    if (!trained) return;
    const { options, info, weights, iteration } = trained;
    let { numTrain } = info;
    let trainOf = numTrain;
    if (options.digits !== "all" || info.numTrain < 50_000) {
      const digits = await loadDigits().catch(() => null);
      trainOf = digits?.trainOf ?? numTrain;
      numTrain = digits?.train.labels.length ?? numTrain;
    }
    save(trainingFile(options, weights, iteration, numTrain, trainOf), "training.zip");
    setText(
      this.told,
      "training.zip has been saved: unpack it, and run python repeat.py in its folder. It takes the first steps again, and prints their losses.",
    );
  }

  private async take(file: File | undefined): Promise<void> {
    if (!file) return;
    try {
      if (file.size > MOST_BYTES) {
        const size = Math.round(file.size / 1e6);
        throw new Error(`This file is ${size} MB: no network on this page is that large.`);
      }
      const network = await readNetwork(new Uint8Array(await file.arrayBuffer()));
      this.actions.given(network);
      setText(
        this.told,
        `This page now shows the network in ${file.name}, trained for ${whole(network.iterations)} iterations.`,
      );
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      setText(this.told, why);
      this.actions.problem(`${file.name} could not be opened. ${why}`);
    }
  }
}

function isBooks(a: Architecture): boolean {
  return JSON.stringify(a) === JSON.stringify(BOOK);
}

/** Let the browser write a file into its downloads folder. */
function save(bytes: Uint8Array<ArrayBuffer>, name: string): void {
  const address = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = element("a", { href: address, download: name });
  link.click();
  // The download has begun by then.
  window.setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
