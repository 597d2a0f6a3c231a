/**
 * The lab: the page in which a reader draws a digit, sees every number of the network, changes
 * it and trains it. This file joins the parts; each of them is in `ui/`.
 */

import { Engine } from "./engine.ts";
import { BOOK, convolutions, initialWeights, shapes } from "./network.ts";
import type { Address } from "./ui/address.ts";
import { ArithmeticPanel } from "./ui/arithmetic_panel.ts";
import { Bar, MINE } from "./ui/bar.ts";
import { hasCell } from "./ui/cells.ts";
import { Choice } from "./ui/choice.ts";
import { Dock } from "./ui/dock.ts";
import { afterwards, element, mount, setAttribute, watchWidth } from "./ui/dom.ts";
import { Drawing } from "./ui/drawing.ts";
import { Edits } from "./ui/edits.ts";
import { exampleButtons, EXAMPLES } from "./ui/examples.ts";
import { FilterEditor } from "./ui/filter_editor.ts";
import { GradientPanel } from "./ui/gradient_panel.ts";
import { measureRedraw } from "./ui/measure.ts";
import { CHECKPOINT_NAMES, Links } from "./ui/links.ts";
import { Messages, slowNote } from "./ui/messages.ts";
import { Networks } from "./ui/networks.ts";
import { padOf } from "./ui/pad.ts";
import { isBlank, ranked } from "./ui/scores.ts";
import { photoButtons, Photos, watchPhotos } from "./ui/photo.ts";
import type { ReadLink } from "./ui/share.ts";
import { Slide } from "./ui/slide.ts";
import { Stage } from "./ui/stage.ts";
import type { State } from "./ui/state.ts";
import { Strip } from "./ui/strip.ts";
import { Train } from "./ui/train.ts";
import { WhyPanel } from "./ui/why_panel.ts";

/** The example on the paper when the page opens. */
const FIRST_EXAMPLE = 3;

class Lab {
  private readonly root = mount("lab");
  readonly messages = new Messages();
  private readonly drawing = new Drawing();
  readonly edits = new Edits();
  readonly choice: Choice;
  readonly networks: Networks;
  readonly stage: Stage;
  readonly panel: ArithmeticPanel;
  readonly editor: FilterEditor;
  private readonly gradient: GradientPanel;
  private readonly why: WhyPanel;
  private readonly train: Train;
  readonly slide: Slide;
  readonly dock: Dock;
  private readonly bar: Bar;
  private readonly strip = new Strip();
  private readonly demoHint = element(
    "p",
    { class: "lab-demo-hint lab-hint", hidden: true },
    "The strongest answer in layer 2, and its path through the network. Point at another square to see its path; click, and it stays.",
  );
  private readonly photos = new Photos({
    lay: (image, shown) => {
      this.messages.clear("photo");
      this.replace(() => this.drawing.lay(image, shown));
    },
    busy: () => this.messages.tell("photo", "The photograph is being prepared …"),
    problem: (text) => this.messages.tell("photo", text),
  });
  private readonly links: Links;
  private readonly address: Address;

  private image: Float32Array = new Float32Array(28 * 28);
  private state: State;
  /** The logits without the reader's changes; `null` if there are none. */
  private without: Float32Array | null = null;
  private width = 0;
  private weightsChanged = true;
  private numbersChanged = true;
  private cause = 0;
  private frameRequested = false;
  private readonly finishSoon = afterwards(250, () => this.finish());

  constructor(private readonly engine: Engine) {
    this.networks = new Networks(BOOK, initialWeights(BOOK, 0), {
      busy: (busy) => setAttribute(this.root, "aria-busy", busy ? "true" : undefined),
      changed: (sameKind) => this.networkChanged(sameKind),
      marked: (network) => this.bar.markChoice(network),
      mine: (iteration) => this.bar.showMine(iteration),
    });
    this.links = new Links(this, {
      draw: (strokes) => this.replace(() => this.drawing.set(strokes)),
      useNetwork: (name, link) => this.useNetwork(name, link),
      changed: () => this.changeWeights(),
      strokes: () => this.drawing.strokes,
    });
    this.address = this.links.address;
    this.state = this.newState();
    this.bar = this.newBar();
    this.stage = this.newStage();
    this.slide = new Slide({
      at: (cell) => this.choice.slideTo(cell),
      end: () => this.choice.endSlide(),
    });
    this.panel = new ArithmeticPanel({
      choose: (cell, focus) => this.choice.choose(cell, focus),
      chooseChannel: (channel) => this.choice.chooseChannel(channel),
      edit: (place) => this.choice.edit(place, true),
      slide: (filter) => this.choice.startSlide(filter),
      close: () => this.choice.close(),
    });
    this.panel.head.append(this.demoHint);
    this.editor = new FilterEditor(this.edits, {
      changed: () => this.edited(),
      go: (place) => this.choice.edit(place, false),
    });
    this.gradient = new GradientPanel({
      redraw: () => this.redraw(),
      choose: (cell) => this.choice.choose(cell, false),
      put: (weights, steps) => {
        this.networks.put(weights, Math.max(0, this.networks.iterations + steps));
        this.frame();
        this.address.changed();
      },
    });
    this.why = new WhyPanel(engine, this.drawing, () => this.redraw());
    this.train = this.newTrain();
    this.dock = new Dock(
      [
        {
          name: "arithmetic",
          title: "Arithmetic",
          head: this.panel.head,
          body: element("div", {}, this.slide.root, this.panel.root),
        },
        { name: "change", title: "Change", head: this.editor.head, body: this.editor.root },
        this.gradient.page,
        this.why.page,
        { name: "train", title: "Train", head: this.train.head, body: this.train.root },
      ],
      () => this.redraw(),
    );
    this.choice = new Choice(this, {
      state: () => this.state,
      redraw: (numbers) => {
        this.numbersChanged ||= numbers;
        this.redraw();
      },
      drawNow: () => this.frame(),
      chosen: () => {
        if (this.address.following) this.address.following.cell = null;
        this.address.changed();
      },
    });
    this.build();
  }

  // --- The page's parts -------------------------------------------------------------------

  private newBar(): Bar {
    return new Bar(
      CHECKPOINT_NAMES,
      {
        chooseNetwork: (name) => void this.chooseNetwork(name),
        train: () => {
          this.dock.turnTo("train");
          void this.train.startOrPause();
        },
        undoChanges: () => {
          this.edits.clear();
          this.edited();
        },
        showSums: (shown) => this.choice.showSums(shown),
        copyLink: () =>
          void this.address.copy(
            [
              this.networks.network === MINE ? "It leaves out the network that you trained." : "",
              this.drawing.isPhoto ? "It leaves out the photograph." : "",
              this.drawing.changedPixels.length > 0 ? "It leaves out the changed pixels." : "",
            ]
              .filter(Boolean)
              .join(" "),
          ),
      },
      element("div", { class: "lab-link-told" }, this.address.status, this.address.field),
    );
  }

  private newStage(): Stage {
    const pad = padOf(
      this.drawing,
      {
        undo: () => {
          this.endIntro(false);
          this.drawing.undo();
        },
        clear: () => this.replace(() => this.drawing.clear()),
      },
      ...photoButtons((file) => void this.photos.take(file)),
    );
    const examples = exampleButtons((strokes) =>
      this.replace(() => this.drawing.set(strokes, true)),
    );
    return new Stage(
      this.engine,
      {
        choose: (cell, enter) => {
          this.choice.choose(cell, false);
          if (!enter) return;
          this.frame();
          this.panel.focus();
        },
        hover: (cell) => this.choice.hover(cell),
        chooseFilter: (filter, enter) => this.choice.edit({ layer: 1, channel: 0, filter }, enter),
        slide: () => this.choice.slideLoudest(),
        chooseChannel: (channel) => this.choice.chooseChannel(channel),
      },
      pad,
      examples,
    );
  }

  private newTrain(): Train {
    return new Train({
      starting: () => this.networks.beginMine(),
      weights: (architecture, weights, iteration) => {
        // A new network shows itself, unless the reader has asked for another since it was begun.
        if (this.networks.takeMine(architecture, weights, iteration)) void this.chooseNetwork(MINE);
      },
      problem: (text) => this.messages.tell("training", text),
      ready: () => this.messages.clear("training"),
      shown: () => ({ ...this.state, iterations: this.networks.iterations }),
      given: ({ architecture, weights, iterations }) => {
        this.edits.clear();
        this.networks.put(weights, iterations, architecture);
      },
      named: (name) => this.bar.nameTraining(name),
    });
  }

  private build(): void {
    this.drawing.onchange = (time) => {
      this.image = this.drawing.image();
      this.numbersChanged = true;
      this.slide.stop();
      this.redraw(time);
    };
    this.drawing.ondone = () => this.address.changed();
    this.drawing.onreplace = () => this.replace(() => {});
    this.root.replaceChildren(
      this.bar.root,
      this.strip.root,
      this.messages.root,
      this.stage.root,
      this.dock.root,
      this.choice.words,
    );
    if (this.engine.kind === "javascript") this.root.after(slowNote(this.engine.reason));
    watchPhotos(this.root, (file) => void this.photos.take(file));
    this.root.addEventListener("keydown", (event) => this.choice.key(event));
    watchWidth(this.root, (width) => {
      this.width = width;
      this.numbersChanged = true;
      this.redraw();
    });
  }

  /** Show the page: the drawing and network of the address, or an example that draws itself. */
  async start(): Promise<void> {
    const { dataset } = document.documentElement;
    const link = this.address.read();
    if (link) {
      if (!link.strokes) this.drawing.set(EXAMPLES[FIRST_EXAMPLE], true);
      await this.links.follow(link);
    } else {
      dataset["labIntro"] = "";
      this.drawing.play(EXAMPLES[FIRST_EXAMPLE], () => this.endIntro(true));
      await this.links.firstLook();
    }
    dataset["lab"] = this.engine.kind;
  }

  /** The example is drawn: its wires pulse once. */
  private endIntro(demo: boolean): void {
    delete document.documentElement.dataset["labIntro"];
    if (!demo || this.choice.pinned) return;
    this.choice.showDemo(true);
    this.stage.pulse();
  }

  /** Another drawing comes: what was said about the one before is forgotten. */
  private replace(draw: () => void): void {
    this.endIntro(false);
    this.choice.showDemo(false);
    this.stage.scores.forget();
    draw();
  }

  // --- What the page shows ----------------------------------------------------------------

  private newState(): State {
    const { architecture, base } = this.networks;
    const { conv1, conv2 } = convolutions(architecture);
    const weights = this.edits.apply({ conv1, conv2 }, base);
    return {
      architecture,
      shapes: shapes(architecture),
      conv1,
      conv2,
      exact: this.networks.exact,
      base,
      weights,
      activations: this.engine.forward(architecture, weights, this.image),
    };
  }

  /** Redraw everything in the next frame; `cause` is when the reader did what made it necessary. */
  private redraw(cause = performance.now()): void {
    setAttribute(this.root, "data-unfinished", true);
    if (this.frameRequested) return;
    this.frameRequested = true;
    this.cause = cause;
    requestAnimationFrame(() => this.frame());
  }

  private frame(): void {
    this.frameRequested = false;
    if (this.numbersChanged || this.weightsChanged) this.compute();
    const { stage, choice } = this;
    const shown = choice.shown();
    if (this.dock.page === "back") this.gradient.update(this.state, shown);
    stage.back = this.dock.page === "back" ? this.gradient.back : null;
    stage.changed = this.drawing.changedPixels;
    if (this.width > 0) {
      stage.arrange(this.state, this.width, choice.sums);
      this.root.classList.toggle("lab-wide", stage.layout!.wide);
      this.root.classList.toggle("lab-narrow", !stage.layout!.wide);
      stage.choose(choice.pinned);
      stage.update(this.state, this.without, shown, choice.openChannel(), this.numbersChanged);
      if (this.numbersChanged) this.strip.update(this.state, stage.layout!);
    }
    this.numbersChanged = false;
    setAttribute(this.demoHint, "hidden", !choice.isDemo);
    this.panel.head.classList.toggle("lab-demo", choice.isDemo);
    setAttribute(this.root, "data-exact", this.state.exact);
    this.dock.wait(!this.state.exact);
    if (this.dock.page === "arithmetic")
      this.panel.show(this.state, shown, stage.path, choice.openChannel());
    if (this.dock.page === "change") this.editor.update(this.state, this.without);
    if (this.dock.page === "why") this.why.update(this.state);
    this.bar.update(this.edits.count, choice.sums, this.state.architecture.pooling);
    this.finishSoon();
    measureRedraw(this.cause);
  }

  /** The network's numbers for the drawing, with the reader's changes and without. */
  private compute(): void {
    const { architecture, base } = this.networks;
    this.numbersChanged = true;
    if (this.weightsChanged) this.state = this.newState();
    else {
      const { weights } = this.state;
      const activations = this.engine.forward(architecture, weights, this.image);
      this.state = { ...this.state, activations };
    }
    this.weightsChanged = false;
    this.without =
      this.edits.count > 0 ? this.engine.forward(architecture, base, this.image).logits : null;
    if (this.networks.network !== MINE) return;
    const [digit] = ranked(this.state.activations.probabilities);
    this.train.read(isBlank(this.state) ? "nothing" : String(digit));
  }

  /** What takes too long while the pen moves: the words for what has the focus. */
  private finish(): void {
    this.stage.describe();
    setAttribute(this.root, "data-unfinished", undefined);
  }

  private changeWeights(): void {
    this.weightsChanged = true;
    this.slide.stop();
    this.redraw();
  }

  /** The reader changed filters. */
  private edited(): void {
    if (this.address.following) this.address.following.changes = null;
    this.changeWeights();
    this.address.changed();
  }

  // --- Which network ----------------------------------------------------------------------

  /** The reader chose a network. */
  private async chooseNetwork(name: string): Promise<void> {
    const problem = await this.useNetwork(name);
    if (problem) this.messages.tell("network", `${problem} The page keeps the one it has.`);
    this.address.changed();
  }

  private useNetwork(name: string, link: ReadLink | null = null): Promise<string> {
    this.address.following = link;
    this.messages.clear("network");
    return this.networks.use(name);
  }

  private networkChanged(sameKind: boolean): void {
    this.slide.stop();
    if (!sameKind) {
      // Changes were made to filters that this network does not have.
      this.edits.clear();
      const { pinned } = this.choice;
      if (pinned && !hasCell(pinned, shapes(this.networks.architecture))) this.choice.pin(null);
      if (!this.networks.architecture.pooling) this.choice.sums = false;
      this.choice.hover(null);
    }
    this.changeWeights();
    if (!sameKind) this.frame();
  }
}

void Engine.load().then((engine) => new Lab(engine).start());
