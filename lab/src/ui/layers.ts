/** The layers, from the input to the probabilities: a picture, a legend and words for each. */

import { ArithmeticPanel, denseShape, type Actions, type Marks } from "./arithmetic_view.ts";
import { BOOK_NAMES, placeInWords, type Cell, type LayerName } from "./cells.ts";
import { paint, type Scale } from "./colours.ts";
import { afterwards, element, newId, setAttribute, setShare, setText } from "./dom.ts";
import { FilterEditor, type Edits, type FilterPlace } from "./edit.ts";
import { Legend } from "./legend.ts";
import { Maps, type MapShape } from "./maps.ts";
import { decimal, percent, whole } from "./numbers.ts";
import { rove } from "./roving.ts";
import { layerScale, weightScale, type State } from "./state.ts";

/** A part of the page: a heading, its picture, and room for a panel below. */
class Section {
  readonly root: HTMLElement;
  readonly room = element("div");
  readonly shape = element("span", { class: "lab-shape" });
  readonly words = element("p", { class: "lab-words", id: newId("words") });
  readonly readout = element("p", { class: "lab-readout", "aria-hidden": "true" });
  readonly legend = new Legend();
  readonly body = element("div");
  /** Draw what it shows, as it is now. */
  ondraw: () => void = () => {};
  private readonly sentence: HTMLElement;
  private visible = true;
  private stale = false;

  constructor(name: string, title: string, sentence: string, folded = false) {
    this.sentence = element("p", { class: "lab-sentence" }, sentence);
    const heading = element("h3", { id: newId("layer") }, title, " ", this.shape);
    const parts = [
      this.sentence,
      this.body,
      element("div", { class: "lab-below" }, this.legend.root, this.readout),
      this.words,
      this.room,
    ];
    this.root = folded
      ? element(
          "details",
          { class: "lab-layer lab-fold", "data-layer": name },
          element("summary", {}, title, " ", this.shape),
          ...parts,
        )
      : element(
          "section",
          { class: "lab-layer", "data-layer": name, "aria-labelledby": heading.id },
          heading,
          ...parts,
        );
    new IntersectionObserver(
      (entries) => {
        this.visible = entries.at(-1)!.isIntersecting;
        if (this.visible) this.catchUp();
      },
      { rootMargin: "200px" },
    ).observe(this.root);
    this.root.addEventListener("toggle", () => this.catchUp());
  }

  /** Its numbers are others now: draw them if they can be seen, or wait for `catchUp`. */
  changed(): void {
    this.stale = true;
    if (this.visible) this.catchUp();
  }

  /** Draw what was left out. */
  catchUp(): void {
    if (!this.stale || !this.isOpen) return;
    this.stale = false;
    this.ondraw();
  }

  say(sentence: string): void {
    setText(this.sentence, sentence);
  }

  get isOpen(): boolean {
    return !(this.root instanceof HTMLDetailsElement) || this.root.open;
  }
}

interface LayerPart {
  section: Section;
  maps: Maps;
  layer: LayerName;
}

interface FilterPart {
  section: Section;
  maps: Maps;
  layer: 1 | 2;
}

export interface LayersActions extends Omit<Actions, "editFilter"> {
  /** The reader changed a filter. */
  edited(): void;
}

/** The picture of a layer: how its flat array is laid out. */
function mapShape(layer: LayerName, state: State): MapShape {
  if (layer === "flat" || layer === "fc1") return denseShape(layer, state);
  const [height, width, count = 1] = state.shapes[layer];
  return { height, width, count };
}

const ZOOM: Partial<Record<LayerName, [number, number]>> = {
  input: [8, 10],
  conv1: [3, 4],
  pool1: [5, 6],
  conv2: [3, 4],
  pool2: [5, 8],
  flat: [5, 6],
  fc1: [14, 20],
};

const WITH_POOLING =
  "One picture a filter: of every four sums the largest, and nothing below zero.";
const WITHOUT_POOLING =
  "One picture a filter: what it finds at every second place of every second row, and nothing below zero.";

export class Layers {
  private readonly parts: LayerPart[] = [];
  private readonly filters: FilterPart[] = [];
  private readonly scores: Scores;
  private readonly panel: ArithmeticPanel;
  private readonly editor: FilterEditor;
  private state: State | null = null;
  private readonly sections = new Map<string, Section>();
  private readonly finishSoon = afterwards(250, () => this.finish());

  constructor(
    private readonly root: HTMLElement,
    private readonly actions: LayersActions,
    edits: Edits,
  ) {
    this.panel = new ArithmeticPanel({
      ...actions,
      choose: (cell, focus) => actions.choose(cell, focus),
      editFilter: (layer, channel, filter) => this.edit({ layer, channel, filter }, true),
      close: () => actions.close(),
    });
    this.editor = new FilterEditor(edits, {
      changed: () => actions.edited(),
      go: (place) => this.edit(place, false),
      close: ({ layer }) => this.filters.find((part) => part.layer === layer)!.maps.focus(),
    });

    this.addLayer(
      root,
      "input",
      "Input",
      "Your drawing as the network gets it: 28×28 numbers, 0 for paper, 1 for ink.",
    );
    this.addFilters(
      root,
      1,
      "Filters of the first layer",
      "One small window each. Red weights want ink, blue ones want paper. Choose one to silence it or to change its numbers.",
    );
    this.addLayer(
      root,
      "conv1",
      "Sums before pooling and ReLU",
      "What the filters find at every place, below zero too.",
      true,
    );
    this.addLayer(root, "pool1", "Output of the first layer", WITH_POOLING);
    this.addFilters(
      root,
      2,
      "Filters of the second layer",
      "Each filter of this layer has one small window for each picture above. Choose one to change it.",
    );
    this.addLayer(
      root,
      "conv2",
      "Sums before pooling and ReLU",
      "What the second layer’s filters find at every place of the pictures above, below zero too.",
      true,
    );
    this.addLayer(
      root,
      "pool2",
      "Output of the second layer",
      "Each bright square says: something of my kind lies about here.",
    );
    this.addLayer(
      root,
      "flat",
      "Flattened",
      "The same numbers in one row, broken here into lines: each line is one place of the pictures above, with all its channels.",
    );
    this.addLayer(
      root,
      "fc1",
      "First fully connected layer",
      "Each unit looks at all the numbers above at once.",
    );
    const section = new Section(
      "scores",
      "Logits and probabilities",
      "Ten weighted sums, one for each digit. Softmax turns them into shares of one.",
    );
    section.readout.remove();
    this.scores = new Scores((cell, focus) => this.choose(cell, focus));
    section.body.append(this.scores.root);
    section.ondraw = () => {
      const state = this.state!;
      this.scores.update(state);
      section.legend.update(layerScale("logits", state.activations.logits));
      this.drawPanel(section);
    };
    section.legend.root.prepend("logits: ");
    root.append(section.root);
    this.sections.set("logits", section);
    this.sections.set("probabilities", section);
  }

  /** Another network, other weights, or changes to them. */
  setNetwork(state: State): void {
    this.state = state;
    for (const { section, maps, layer } of this.filters) {
      const weights = state.weights[`conv${layer}/weights`];
      const [height, width, channels, count] = state.shapes[`conv${layer}/weights`];
      maps.setShape({ height, width, count: channels * count });
      const scale = weightScale(weights);
      maps.draw(weights, scale);
      maps.describe();
      section.legend.update(scale);
      setText(section.shape, `[${[height, width, channels, count].join(", ")}]`);
      setText(
        section.words,
        layer === 1
          ? `${count} filters of ${height}×${width} weights.`
          : `${channels} × ${count} = ${channels * count} small filters: for each of the ${channels} pictures above and each of the ${count} below one of ${height}×${width} weights.`,
      );
    }
    for (const { section, maps, layer } of this.parts) {
      const shape = state.shapes[layer];
      maps.setShape(mapShape(layer, state));
      setText(section.shape, `[${shape.join(", ")}]`);
      if (layer === "conv1" || layer === "conv2") section.root.hidden = !state.architecture.pooling;
      if (layer === "pool1")
        section.say(state.architecture.pooling ? WITH_POOLING : WITHOUT_POOLING);
    }
    setText(this.sections.get("logits")!.shape, "[10], [10]");
    this.editor.update(state);
    this.draw(state);
  }

  /**
   * New numbers, after a stroke or new weights: what can be seen is drawn at once, all else
   * when the reader pauses. Until then the page carries `data-unfinished`.
   */
  draw(state: State): void {
    this.state = state;
    for (const section of new Set(this.sections.values())) section.changed();
    setAttribute(this.root, "data-unfinished", true);
    this.finishSoon();
  }

  private drawPanel(section: Section): void {
    const { cell } = this.panel;
    if (cell && this.sections.get(cell.layer) === section)
      this.outline(this.panel.update(this.state!));
  }

  /** Outline a cell and show its arithmetic below its layer; `null` closes the panel. */
  show(cell: Cell | null, focus = false): void {
    if (!this.state) return;
    if (cell) {
      const section = this.sections.get(cell.layer)!;
      if (section.root instanceof HTMLDetailsElement) section.root.open = true;
      if (this.panel.root.parentElement !== section.room) section.room.prepend(this.panel.root);
    }
    const left =
      cell === null && this.panel.root.contains(document.activeElement) ? this.panel.cell : null;
    this.outline(this.panel.show(this.state, cell));
    for (const { maps, layer } of this.parts)
      maps.choose(cell?.layer === layer ? cell.index : null);
    this.scores.choose(cell);
    if (cell && focus) {
      this.sections.get(cell.layer)!.catchUp();
      this.focus(cell);
    }
    // The panel that had the focus is gone: it goes back to the picture.
    if (left) this.focus(left);
  }

  private focus(cell: Cell): void {
    const part = this.parts.find(({ layer }) => layer === cell.layer);
    if (part) part.maps.focus();
    else this.scores.focus(cell);
  }

  /** Move the focus to the arithmetic of the chosen number. */
  enterPanel(): void {
    this.panel.focus();
  }

  private choose(cell: Cell, focus: boolean): void {
    this.actions.choose(cell, focus);
  }

  private outline(marks: Marks): void {
    for (const { maps, layer } of this.parts) maps.mark(marks[layer] ?? []);
  }

  private edit(place: FilterPlace, focus: boolean): void {
    if (!this.state) return;
    const part = this.filters.find(({ layer }) => layer === place.layer)!;
    if (this.editor.root.parentElement !== part.section.room)
      part.section.room.append(this.editor.root);
    this.editor.show(this.state, place);
    const count = this.state[`conv${place.layer}`].numFilters;
    for (const { maps, layer } of this.filters) {
      maps.choose(layer === place.layer ? place.channel * count + place.filter : null);
    }
    if (focus) this.editor.focus();
  }

  private addLayer(
    root: HTMLElement,
    layer: LayerName,
    title: string,
    sentence: string,
    folded = false,
  ): void {
    const section = new Section(layer, title, sentence, folded);
    const describe = (index: number): string => this.cellInWords({ layer, index });
    const maps = new Maps({
      label: `${title}: ${BOOK_NAMES[layer]}`,
      describedBy: section.words.id,
      zoom: ZOOM[layer]!,
      describe,
      onchoose: (index, enter) => {
        this.choose({ layer, index }, false);
        if (enter) this.enterPanel();
      },
      onhover: (index) => setText(section.readout, index === null ? "" : describe(index)),
    });
    section.body.append(maps.root);
    section.ondraw = () => {
      const values = this.state!.activations[layer];
      const scale = layerScale(layer, values);
      maps.draw(values, scale);
      section.legend.update(scale);
      this.drawPanel(section);
    };
    root.append(section.root);
    this.sections.set(layer, section);
    this.parts.push({ section, maps, layer });
  }

  private addFilters(root: HTMLElement, layer: 1 | 2, title: string, sentence: string): void {
    const section = new Section(`filters${layer}`, title, sentence);
    const place = (index: number): FilterPlace => {
      const count = this.state?.[`conv${layer}`].numFilters ?? 1;
      return { layer, channel: Math.floor(index / count), filter: index % count };
    };
    const describe = (index: number): string => {
      const { channel, filter } = place(index);
      return layer === 1 ? `filter ${filter}` : `filter ${filter}, channel ${channel}`;
    };
    const maps = new Maps({
      label: title,
      describedBy: section.words.id,
      whole: true,
      zoom: layer === 1 ? [6, 9] : [3, 4],
      ...(layer === 2 && {
        // Lines of input channels by default; where that is too wide, lines of filters.
        columns: () => {
          const conv = this.state!.conv2;
          return [...new Set([conv.numFilters, conv.inputChannels])].sort((a, b) => b - a);
        },
        mapAt: (position: number, columns: number) => {
          const { numFilters, inputChannels } = this.state!.conv2;
          if (columns === numFilters) return position;
          return (position % inputChannels) * numFilters + Math.floor(position / inputChannels);
        },
      }),
      describe,
      onchoose: (index, enter) => this.edit(place(index), enter),
      onhover: (index) => setText(section.readout, index === null ? "" : describe(index)),
    });
    section.body.append(maps.root);
    root.append(section.root);
    this.filters.push({ section, maps, layer });
  }

  private cellInWords(cell: Cell): string {
    if (!this.state) return "";
    return `${placeInWords(cell, this.state.shapes)}: ${decimal(this.state.activations[cell.layer][cell.index] ?? 0)}`;
  }

  /** What could not be seen, and the text alternatives: a moment after the last change. */
  private finish(): void {
    const state = this.state!;
    for (const section of this.sections.values()) section.catchUp();
    for (const { section, maps, layer } of this.parts) {
      if (!section.isOpen) continue;
      setText(section.words, describeLayer(layer, state));
      maps.describe();
    }
    setText(this.sections.get("logits")!.words, describeScores(state));
    setAttribute(this.root, "data-unfinished", undefined);
  }
}

/** What a layer's picture shows, in words. */
export function describeLayer(layer: LayerName, state: State): string {
  const values = state.activations[layer];
  let [top, bottom, zeros] = [0, 0, 0];
  values.forEach((value, index) => {
    if (value > values[top]) top = index;
    if (value < values[bottom]) bottom = index;
    if (value === 0) zeros += 1;
  });
  const where = (index: number): string => placeInWords({ layer, index }, state.shapes);
  if (layer === "input") {
    if (values[top] === 0) return "The paper is empty: all 784 numbers are 0.";
    const ink = values.reduce((count, value) => count + (value > 0.5 ? 1 : 0), 0);
    const rows = Array.from({ length: 28 }, (_, row) => row).filter((row) =>
      values.subarray(row * 28, row * 28 + 28).some((v) => v > 0),
    );
    return `${784 - zeros} of 784 pixels have ink, ${ink} of them more than half; from row ${rows[0]} to row ${rows.at(-1)}.`;
  }
  if (layer === "conv1" || layer === "conv2") {
    return `${values.length} sums, from ${decimal(values[bottom])} (${where(bottom)}) to ${decimal(values[top])} (${where(top)}).`;
  }
  const shape = state.shapes[layer];
  const pictures = shape.length === 3 ? `${shape[2]} pictures of ${shape[0]}×${shape[1]}. ` : "";
  return `${pictures}The largest of ${values.length} numbers is ${decimal(values[top])} (${where(top)}); ${percent(zeros / values.length)} are 0.`;
}

function describeScores(state: State): string {
  const order = Array.from(state.activations.logits.keys()).sort(
    (a, b) => state.activations.logits[b] - state.activations.logits[a],
  );
  const [first, second] = order;
  const ahead = state.activations.logits[first] - state.activations.logits[second];
  const times = Math.exp(ahead);
  const often =
    times < 100 ? decimal(times, 1) : times < 1e6 ? whole(times) : "more than a million";
  return `The logit of ${first} is the largest, ${decimal(ahead)} ahead of that of ${second}: so ${first} is ${often} times as probable (e to the power of ${decimal(ahead)}).`;
}

/** Logits and probabilities: a table whose numbers can be chosen. */
class Scores {
  readonly root: HTMLElement;
  private readonly cells: Record<"logits" | "probabilities", HTMLElement[]> = {
    logits: [],
    probabilities: [],
  };
  private readonly bars: HTMLElement[] = [];

  constructor(choose: (cell: Cell, focus: boolean) => void) {
    const body = element("tbody");
    const order: { cell: HTMLElement; target: Cell }[] = [];
    for (let digit = 0; digit < 10; digit += 1) {
      const logit = element("td", { role: "gridcell", class: "lab-score" });
      const bar = element("span", { class: "lab-bar" });
      const text = element("span", { class: "lab-bar-text" });
      const probability = element(
        "td",
        { role: "gridcell", class: "lab-score lab-probability" },
        bar,
        text,
      );
      this.cells.logits.push(logit);
      this.cells.probabilities.push(probability);
      this.bars.push(bar);
      order.push(
        { cell: logit, target: { layer: "logits", index: digit } },
        { cell: probability, target: { layer: "probabilities", index: digit } },
      );
      body.append(
        element("tr", {}, element("th", { scope: "row" }, String(digit)), logit, probability),
      );
    }
    const head = ["digit", "logit", "probability"].map((name) =>
      element("th", { scope: "col" }, name),
    );
    this.root = element(
      "table",
      { class: "lab-scores", role: "grid", "aria-label": "Logits and probabilities" },
      element("thead", {}, element("tr", {}, ...head)),
      body,
    );
    rove(
      order.map(({ cell }) => cell),
      2,
      (index) => choose(order[index].target, false),
    );
  }

  update(state: State): void {
    const { logits, probabilities } = state.activations;
    const scale: Scale = layerScale("logits", logits);
    for (let digit = 0; digit < 10; digit += 1) {
      const cell = this.cells.logits[digit];
      setText(cell, decimal(logits[digit]));
      setAttribute(cell, "data-value", logits[digit]);
      paint(cell, scale, logits[digit]);
      setShare(this.bars[digit], probabilities[digit]);
      const shown = this.cells.probabilities[digit];
      setText(shown.lastElementChild!, decimal(probabilities[digit], 4));
      setAttribute(shown, "data-value", probabilities[digit]);
    }
  }

  choose(cell: Cell | null): void {
    for (const layer of ["logits", "probabilities"] as const) {
      this.cells[layer].forEach((target, digit) => {
        const chosen = cell?.layer === layer && cell.index === digit;
        target.classList.toggle("lab-picked", chosen);
        setAttribute(target, "aria-selected", chosen ? "true" : "false");
      });
    }
  }

  focus(cell: Cell): void {
    this.cells[cell.layer as "logits" | "probabilities"][cell.index].focus();
  }
}
