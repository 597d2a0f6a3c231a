/**
 * The lab: the page in which a reader draws a digit, sees every number of the network, changes
 * it and trains it. This file joins the parts; each of them is in `ui/`.
 */

import { CHECKPOINTS, loadCheckpoint } from "./data.ts";
import { Engine } from "./engine.ts";
import {
  BOOK,
  convolutions,
  initialWeights,
  shapes,
  type Architecture,
  type Weights,
} from "./network.ts";
import { Address } from "./ui/address.ts";
import { cellOf, hasCell, placeOf, type Cell } from "./ui/cells.ts";
import { centre } from "./ui/centre.ts";
import { button, element, mount, setAttribute, setText } from "./ui/dom.ts";
import { Drawing } from "./ui/drawing.ts";
import { Edits, fitsChanges } from "./ui/edit.ts";
import { exampleButtons, EXAMPLES } from "./ui/examples.ts";
import { Guess } from "./ui/guess.ts";
import { Layers } from "./ui/layers.ts";
import { Messages } from "./ui/messages.ts";
import { whole } from "./ui/numbers.ts";
import type { ReadLink, Shared } from "./ui/share.ts";
import type { State } from "./ui/state.ts";
import { Train } from "./ui/train.ts";

const CHECKPOINT_NAMES = CHECKPOINTS.map(String);
const TRAINED = "10000";
/** The network that the reader trains on the page. */
const MINE = "mine";
/** The example on the paper when the page opens. */
const FIRST_EXAMPLE = 3;

/** Name of the measurement of every redraw, from the event to the last layer; see `performance`. */
const MEASURE = "lab-redraw";
const MAX_MEASURES = 1000;

/** A network that the reader asked for. */
interface Wish {
  network: string;
}

class Lab {
  private readonly messages = new Messages();
  private readonly drawing = new Drawing();
  private readonly edits = new Edits();
  private readonly guess: Guess;
  private readonly layers: Layers;
  private readonly radios = new Map<string, HTMLInputElement>();
  private readonly mineLabel = element("span", {}, "yours");
  private readonly address: Address;

  private architecture: Architecture = BOOK;
  private base: Weights = initialWeights(BOOK, 0);
  /** Which network is shown: a checkpoint's name or `MINE`; "" while there is none but noise. */
  private network = "";
  /** The latest wish: what comes late for an earlier one is let go. */
  private wish: Wish = { network: TRAINED };
  /** The wish in force when the reader began to train. */
  private wishAtStart: Wish | null = null;
  private mine: { architecture: Architecture; weights: Weights } | null = null;
  private image: Float32Array = new Float32Array(28 * 28);
  private state: State;
  private cell: Cell | null = null;
  private weightsChanged = true;
  private cause = 0;
  private frameRequested = false;
  private measures = 0;
  constructor(private readonly engine: Engine) {
    this.state = this.newState();
    this.address = new Address(
      () => this.shared(),
      (link) => void this.follow(link),
    );
    this.guess = new Guess(
      () => {
        this.edits.clear();
        this.edited();
      },
      (index) => this.choose({ layer: "input", index }, false),
    );
    this.layers = new Layers(
      mount("lab-layers"),
      {
        choose: (cell, focus) => this.choose(cell, focus),
        close: () => this.choose(null, false),
        edited: () => this.edited(),
      },
      this.edits,
    );
    new Train(mount("lab-train"), {
      starting: () => (this.wishAtStart = this.wish),
      weights: (architecture, weights, iteration) =>
        this.takeMine(architecture, weights, iteration),
      problem: (text) => this.messages.tell("training", text),
      ready: () => this.messages.clear("training"),
    });
    this.drawing.onchange = (time) => {
      this.image = centre(this.drawing.scan);
      this.redraw(time);
    };
    this.drawing.ondone = () => this.address.changed();
    this.build();
  }

  /** Show the page: the drawing and network of the address, or the first example. */
  async start(): Promise<void> {
    const link = this.address.read();
    if (!link?.strokes) this.drawing.set(EXAMPLES[FIRST_EXAMPLE]);
    await (link ? this.follow(link) : this.chooseNetwork(TRAINED));
    document.documentElement.dataset["lab"] = this.engine.kind;
  }

  // --- The page's parts -------------------------------------------------------------------

  private build(): void {
    const root = mount("lab-draw");
    const tools = element(
      "div",
      { class: "lab-buttons" },
      button("Undo", () => this.drawing.undo()),
      button("Clear", () => {
        this.guess.forget();
        this.drawing.clear();
      }),
      button("Copy a link", () => this.copyLink()),
      this.address.status,
    );
    const examples = exampleButtons((strokes) => {
      this.guess.forget();
      this.drawing.set(strokes);
    });
    root.replaceChildren(
      this.messages.root,
      element(
        "div",
        { class: "lab-top" },
        element(
          "div",
          { class: "lab-pad" },
          element("p", { class: "lab-title" }, "Draw a digit here, or take an example"),
          this.drawing.root,
          examples,
          tools,
          this.address.field,
        ),
        this.guess.seen,
        element("div", { class: "lab-right" }, this.networkChoice(), this.guess.root),
      ),
      element(
        "p",
        { class: "lab-hint lab-engine" },
        this.engine.kind === "wasm-simd"
          ? ""
          : `This browser runs the network without WebAssembly (${this.engine.reason}): the numbers are the same, but drawing and training are slower.`,
      ),
    );
    mount("lab-bar").append(this.guess.bar);
    new IntersectionObserver((entries) => {
      const { isIntersecting, boundingClientRect } = entries.at(-1)!;
      this.guess.showBar(!isIntersecting && boundingClientRect.top <= 0);
    }).observe(root);
  }

  private networkChoice(): HTMLElement {
    const options = element("div", { class: "lab-segments" });
    for (const name of [...CHECKPOINT_NAMES, MINE]) {
      const radio = element("input", { type: "radio", name: "lab-network", value: name });
      radio.addEventListener("change", () => void this.chooseNetwork(name));
      this.radios.set(name, radio);
      options.append(
        element(
          "label",
          { hidden: name === MINE },
          radio,
          name === MINE ? this.mineLabel : element("span", {}, whole(Number(name))),
        ),
      );
    }
    return element(
      "fieldset",
      { class: "lab-network" },
      element("legend", {}, "The network after this many iterations of training"),
      options,
    );
  }

  // --- What the page shows ----------------------------------------------------------------

  private newState(): State {
    const { conv1, conv2 } = convolutions(this.architecture);
    const weights = this.edits.apply({ conv1, conv2 }, this.base);
    return {
      architecture: this.architecture,
      shapes: shapes(this.architecture),
      conv1,
      conv2,
      base: this.base,
      weights,
      activations: this.engine.forward(this.architecture, weights, this.image),
    };
  }

  /** Draw everything anew in the next frame; `cause` is when the reader did what made it necessary. */
  private redraw(cause: number): void {
    if (this.frameRequested) return;
    this.frameRequested = true;
    this.cause = cause;
    requestAnimationFrame(() => this.frame());
  }

  private frame(): void {
    this.frameRequested = false;
    if (this.weightsChanged) {
      this.state = this.newState();
      this.weightsChanged = false;
      this.layers.setNetwork(this.state);
    } else {
      this.state = {
        ...this.state,
        activations: this.engine.forward(this.architecture, this.state.weights, this.image),
      };
      this.layers.draw(this.state);
    }
    const without =
      this.edits.count > 0
        ? this.engine.forward(this.architecture, this.base, this.image).probabilities
        : null;
    this.guess.update(this.state, without);
    if (this.measures >= MAX_MEASURES) {
      performance.clearMeasures(MEASURE);
      this.measures = 0;
    }
    this.measures += 1;
    performance.measure(MEASURE, { start: this.cause, end: performance.now() });
  }

  private changeWeights(): void {
    this.weightsChanged = true;
    this.redraw(performance.now());
  }

  /** The reader changed filters. */
  private edited(): void {
    if (this.address.following) this.address.following.changes = null;
    this.changeWeights();
    this.address.changed();
  }

  /** The reader chose a number, or closed its arithmetic. */
  private choose(cell: Cell | null, focus: boolean): void {
    if (this.address.following) this.address.following.cell = null;
    this.showCell(cell, focus);
    this.address.changed();
  }

  private showCell(cell: Cell | null, focus = false): void {
    this.cell = cell;
    this.layers.show(cell, focus);
  }

  // --- Which network ----------------------------------------------------------------------

  /** The reader chose a network. */
  private async chooseNetwork(name: string): Promise<void> {
    const problem = await this.useNetwork(name);
    if (problem) this.messages.tell("network", `${problem} The page goes on with the one it has.`);
    this.address.changed();
  }

  /**
   * Put another network below the drawing; if it cannot be had, keep the one that is there.
   *
   * @param link The link that asks for it, if one does.
   * @returns What went wrong; "" if nothing did, or if nobody wants this network any more.
   */
  private async useNetwork(name: string, link: ReadLink | null = null): Promise<string> {
    const wish = this.want(name, link);
    this.messages.clear("network");
    let problem = "";
    if (name !== MINE) {
      setAttribute(mount("lab-draw"), "aria-busy", "true");
      const found = await loadCheckpoint(Number(name)).catch((error: Error) => error);
      // Another one was asked for in the meantime: it is on its way, or there already.
      if (this.wish !== wish) return "";
      if (found instanceof Error) {
        problem = `The network after ${whole(Number(name))} iterations could not be loaded. ${found.message}`;
        wish.network = this.network;
      } else this.setNetwork(name, BOOK, found);
    }
    if (wish.network === MINE) this.showMine();
    this.markChoice();
    setAttribute(mount("lab-draw"), "aria-busy", undefined);
    return problem;
  }

  /** From now on another network is wanted, and another link or none. */
  private want(network: string, link: ReadLink | null): Wish {
    this.address.following = link;
    this.wish = { network };
    return this.wish;
  }

  private setNetwork(name: string, architecture: Architecture, weights: Weights): void {
    const sameKind = JSON.stringify(architecture) === JSON.stringify(this.architecture);
    this.network = name;
    this.architecture = architecture;
    this.base = weights;
    this.markChoice();
    if (!sameKind) {
      // Changes were made to filters that this network does not have.
      this.edits.clear();
      if (this.cell && !hasCell(this.cell, shapes(architecture))) this.showCell(null);
    }
    this.changeWeights();
    if (!sameKind) {
      this.frame();
      this.layers.show(this.cell);
    }
  }

  private markChoice(): void {
    for (const [name, radio] of this.radios) radio.checked = name === this.network;
  }

  private showMine(): void {
    if (this.mine) this.setNetwork(MINE, this.mine.architecture, this.mine.weights);
  }

  /** Weights of the network in training: they become what the page shows, if it shows that one. */
  private takeMine(architecture: Architecture, weights: Weights, iteration: number): void {
    const first =
      this.mine === null || JSON.stringify(this.mine.architecture) !== JSON.stringify(architecture);
    this.mine = { architecture, weights };
    this.radios.get(MINE)!.parentElement!.hidden = false;
    setText(this.mineLabel, `yours (${whole(iteration)})`);
    // A new network shows itself, unless the reader asked for another since it was begun.
    if (first && this.wish === this.wishAtStart) void this.chooseNetwork(MINE);
    else if (this.wish.network === MINE) this.showMine();
  }

  // --- The address ------------------------------------------------------------------------

  private shared(): Shared {
    const isShared = this.network !== MINE && this.network !== "";
    return {
      strokes: this.drawing.strokes,
      network: isShared ? this.network : null,
      // Changes to a network that the link does not hold would be made to another one.
      changes: isShared && this.edits.count > 0 ? this.edits.changes : null,
      cell: this.cell && {
        layer: this.cell.layer,
        place: placeOf(this.state.shapes[this.cell.layer], this.cell.index),
      },
    };
  }

  /** Take over what a link says; of a damaged one the parts that are whole. */
  private async follow(link: ReadLink): Promise<void> {
    const { problems } = link;
    if (link.strokes) {
      this.guess.forget();
      this.drawing.set(link.strokes);
    }
    // Nothing of what an earlier link said stays.
    this.edits.clear();
    this.changeWeights();
    this.showCell(null);

    const isKnown = link.network !== null && CHECKPOINT_NAMES.includes(link.network);
    const name = isKnown ? link.network! : this.network || TRAINED;
    if (link.network !== null && !isKnown)
      problems.push(`It names a network that is not here: “${link.network.slice(0, 40)}”.`);
    const problem = await this.useNetwork(name, link);
    if (this.address.following !== link) return;
    if (problem) problems.push(problem);
    // Nothing but noise is there yet: better the book's network than none.
    if (this.network === "" && name !== TRAINED) {
      await this.useNetwork(TRAINED, link);
      if (this.address.following !== link) return;
    }
    this.address.following = null;

    if (link.changes) {
      if (link.network !== null && link.network !== this.network)
        problems.push("Its changes to filters are left out: they belong to that network.");
      else if (!fitsChanges(link.changes, convolutions(this.architecture)))
        problems.push("It changes filters that this network does not have.");
      else {
        this.edits.changes = link.changes;
        this.changeWeights();
      }
    }
    if (link.cell) {
      const cell = cellOf(link.cell.layer, link.cell.place, this.state.shapes);
      if (!cell) problems.push("It chooses a number that this network does not have.");
      else {
        if (this.weightsChanged) this.frame();
        this.showCell(cell);
      }
    }
    if (problems.length > 0) {
      // The address stays as it is: a reload tries it again.
      this.messages.tell(
        "link",
        `This link could not be read in full. ${problems.join(" ")} Everything else is as the link says, and the page works as ever.`,
      );
    } else {
      this.messages.clear("link");
      this.address.changed();
    }
  }

  private copyLink(): void {
    void this.address.copy(
      this.network === MINE ? "It leaves out the network that you trained." : "",
    );
  }
}

void Engine.load().then((engine) => new Lab(engine).start());
