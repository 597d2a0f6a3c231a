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
import { cellOf, hasCell, placeOf, type Cell } from "./ui/cells.ts";
import { centre } from "./ui/centre.ts";
import { afterwards, button, element, mount, setAttribute, setText } from "./ui/dom.ts";
import { Drawing } from "./ui/drawing.ts";
import { Edits, fitsChanges } from "./ui/edit.ts";
import { EXAMPLES } from "./ui/examples.ts";
import { Guess } from "./ui/guess.ts";
import { Layers } from "./ui/layers.ts";
import { Messages } from "./ui/messages.ts";
import { whole } from "./ui/numbers.ts";
import { fromFragment, toFragment } from "./ui/share.ts";
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

class Lab {
  private readonly messages = new Messages();
  private readonly drawing = new Drawing();
  private readonly edits = new Edits();
  private readonly guess: Guess;
  private readonly layers: Layers;
  private readonly radios = new Map<string, HTMLInputElement>();
  private readonly mineLabel = element("span", {}, "yours");
  private readonly copied = element("span", { class: "lab-hint", role: "status" });
  private readonly link = element("input", {
    type: "text",
    readonly: true,
    class: "lab-link-field",
    "aria-label": "Link to this drawing",
    hidden: true,
  });

  private architecture: Architecture = BOOK;
  private base: Weights = initialWeights(BOOK, 0);
  /** Which network is shown: a checkpoint's name or `MINE`; "" while there is none but noise. */
  private network = "";
  private wanted: string = TRAINED;
  private mine: { architecture: Architecture; weights: Weights } | null = null;
  private image: Float32Array = new Float32Array(28 * 28);
  private state: State;
  private cell: Cell | null = null;
  private weightsChanged = true;
  private cause = 0;
  private frameRequested = false;
  private measures = 0;
  /** Not before the address was read: what it says would be lost. */
  private mayWriteAddress = false;
  /** What was last read from the address, or written there. */
  private knownHash = "";
  private readonly writeAddressSoon = afterwards(300, () => this.writeAddress());

  constructor(private readonly engine: Engine) {
    this.state = this.newState();
    this.guess = new Guess(
      () => {
        this.edits.clear();
        this.changeWeights();
        this.writeAddressSoon();
      },
      (index) => this.choose({ layer: "input", index }, false),
    );
    this.layers = new Layers(
      mount("lab-layers"),
      {
        choose: (cell, focus) => this.choose(cell, focus),
        close: () => this.choose(null, false),
        edited: () => {
          this.changeWeights();
          this.writeAddressSoon();
        },
      },
      this.edits,
    );
    new Train(mount("lab-train"), {
      weights: (architecture, weights, iteration) =>
        this.takeMine(architecture, weights, iteration),
      problem: (text) => this.messages.tell("training", text),
      ready: () => this.messages.clear("training"),
    });
    this.drawing.onchange = (time) => {
      this.image = centre(this.drawing.scan);
      this.redraw(time);
    };
    this.drawing.ondone = () => this.writeAddressSoon();
    this.build();
    window.addEventListener("hashchange", () => this.readAddress());
  }

  /** Show the page: the drawing and network of the address, or the first example. */
  async start(): Promise<void> {
    this.drawing.set(EXAMPLES[FIRST_EXAMPLE]);
    await this.useNetwork(TRAINED);
    await this.readAddress();
    this.mayWriteAddress = true;
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
      button("Copy a link", () => void this.copyLink()),
      this.copied,
    );
    const examples = element("div", {
      class: "lab-examples",
      role: "group",
      "aria-label": "Examples",
    });
    EXAMPLES.forEach((strokes, digit) => {
      const example = button(
        "",
        () => {
          this.guess.forget();
          this.drawing.set(strokes);
        },
        "lab-example",
      );
      example.setAttribute("aria-label", `Example of a ${digit}`);
      example.append(thumbnail(strokes));
      examples.append(example);
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
          this.link,
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
      radio.addEventListener(
        "change",
        () => void this.useNetwork(name).then(() => this.writeAddressSoon()),
      );
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

  private choose(cell: Cell | null, focus: boolean): void {
    this.cell = cell;
    this.layers.show(cell, focus);
    this.writeAddressSoon();
  }

  // --- Which network ----------------------------------------------------------------------

  /** Put another network below the drawing; if it cannot be had, keep the one that is there. */
  private async useNetwork(name: string): Promise<void> {
    this.wanted = name;
    const root = mount("lab-draw");
    setAttribute(root, "aria-busy", "true");
    try {
      await this.loadNetwork(name);
    } finally {
      // Unless the reader has chosen another one in the meantime, which is not there yet.
      if (this.wanted === name || this.wanted === this.network)
        setAttribute(root, "aria-busy", undefined);
    }
  }

  private async loadNetwork(name: string): Promise<void> {
    if (name === MINE && this.mine) {
      this.setNetwork(MINE, this.mine.architecture, this.mine.weights);
      return;
    }
    try {
      const weights = await loadCheckpoint(Number(name));
      if (this.wanted !== name) return;
      this.messages.clear("network");
      this.setNetwork(name, BOOK, weights);
    } catch (error) {
      if (this.wanted !== name) return;
      const reason = error instanceof Error ? error.message : String(error);
      this.messages.tell(
        "network",
        `The network after ${whole(Number(name))} iterations could not be loaded. ${reason} The page goes on with the one it has.`,
      );
      this.setNetwork(this.network, this.architecture, this.base);
    }
  }

  private setNetwork(name: string, architecture: Architecture, weights: Weights): void {
    const sameKind = JSON.stringify(architecture) === JSON.stringify(this.architecture);
    this.network = name;
    this.wanted = name;
    this.architecture = architecture;
    this.base = weights;
    for (const [its, radio] of this.radios) radio.checked = its === name;
    if (!sameKind) {
      // Changes were made to filters that this network does not have.
      this.edits.clear();
      if (this.cell && !hasCell(this.cell, shapes(architecture))) this.choose(null, false);
    }
    this.changeWeights();
    if (!sameKind) {
      this.frame();
      this.layers.show(this.cell);
    }
  }

  /** Weights of the network in training: they become what the page shows, if it shows that one. */
  private takeMine(architecture: Architecture, weights: Weights, iteration: number): void {
    const first =
      this.mine === null || JSON.stringify(this.mine.architecture) !== JSON.stringify(architecture);
    this.mine = { architecture, weights };
    this.radios.get(MINE)!.parentElement!.hidden = false;
    setText(this.mineLabel, `yours (${whole(iteration)})`);
    if (first || this.network === MINE) this.setNetwork(MINE, architecture, weights);
  }

  // --- The address ------------------------------------------------------------------------

  private fragment(): string {
    const isShared = this.network !== MINE && this.network !== "";
    return toFragment({
      strokes: this.drawing.strokes,
      network: isShared ? this.network : null,
      // Changes to a network that the link does not hold would be made to another one.
      changes: isShared && this.edits.count > 0 ? this.edits.changes : null,
      cell: this.cell && {
        layer: this.cell.layer,
        place: placeOf(this.state.shapes[this.cell.layer], this.cell.index),
      },
    });
  }

  private writeAddress(): void {
    if (!this.mayWriteAddress) return;
    // A link was followed and has yet to be read: written over, it would be lost.
    if (window.location.hash !== this.knownHash) return;
    history.replaceState(null, "", `#${this.fragment()}`);
    this.knownHash = window.location.hash;
  }

  /** Take over what the address says; of a damaged link the parts that are whole. */
  private async readAddress(): Promise<void> {
    this.knownHash = window.location.hash;
    const link = fromFragment(this.knownHash);
    if (!link) return;
    const { problems } = link;
    if (link.strokes) {
      this.guess.forget();
      this.drawing.set(link.strokes);
    }
    if (link.network !== null) {
      if (CHECKPOINT_NAMES.includes(link.network)) await this.useNetwork(link.network);
      else problems.push(`It names a network that is not here: “${link.network.slice(0, 40)}”.`);
    }
    if (link.changes) {
      if (fitsChanges(link.changes, convolutions(this.architecture))) {
        this.edits.changes = link.changes;
        this.changeWeights();
      } else problems.push("It changes filters that this network does not have.");
    } else if (!link.hasChanges && this.edits.count > 0) {
      this.edits.clear();
      this.changeWeights();
    }
    if (link.cell) {
      const cell = cellOf(link.cell.layer, link.cell.place, this.state.shapes);
      if (!cell) problems.push("It chooses a number that this network does not have.");
      else {
        if (this.weightsChanged) this.frame();
        this.choose(cell, false);
      }
    }
    if (problems.length > 0) {
      this.messages.tell(
        "link",
        `This link could not be read in full. ${problems.join(" ")} Everything else is as the link says, and the page works as ever.`,
      );
    } else {
      this.messages.clear("link");
      this.writeAddressSoon();
    }
  }

  private async copyLink(): Promise<void> {
    this.writeAddress();
    const address = window.location.href;
    const said =
      this.network === MINE ? " It holds the drawing, not the network that you trained." : "";
    try {
      await navigator.clipboard.writeText(address);
      setText(this.copied, `Copied.${said}`);
      this.link.hidden = true;
    } catch {
      // Without permission, or on a page that did not come over a secure connection.
      this.link.hidden = false;
      this.link.value = address;
      this.link.select();
      setText(this.copied, `Copy it from the field below.${said}`);
    }
  }
}

/** A small picture of some strokes. */
function thumbnail(strokes: readonly (readonly number[])[]): SVGElement {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "40 10 176 236");
  svg.setAttribute("aria-hidden", "true");
  for (const stroke of strokes) {
    const path = document.createElementNS(namespace, "polyline");
    path.setAttribute("points", stroke.join(" "));
    svg.append(path);
  }
  return svg;
}

void Engine.load().then((engine) => new Lab(engine).start());
