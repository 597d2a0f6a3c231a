/** The picture of the whole network: its layers side by side, and the wires between them. */

import type { Engine } from "../engine.ts";
import type { WayBack } from "../gradients.ts";
import { placeInWords, placeOf, type Cell, type LayerName } from "./cells.ts";
import { button, element, setAttribute } from "./dom.ts";
import { gradientPath } from "./gradient_path.ts";
import { layOut, shownOf, type Block, type Box, type Layout } from "./layout.ts";
import { Legend } from "./legend.ts";
import { decimal } from "./numbers.ts";
import { anchorOf, pathOf, STAGE_LAYER, type Anchor, type Path, type StageLayer } from "./path.ts";
import { Scores } from "./scores.ts";
import { largest, layerScale, weightScale, type State } from "./state.ts";
import { Tiles, type TileShape } from "./tiles.ts";
import { Wires } from "./wires.ts";

export interface StageActions {
  /** `enter`: the focus may go on to the arithmetic. */
  choose(cell: Cell, enter: boolean): void;
  hover(cell: Cell | null): void;
  chooseFilter(filter: number, enter: boolean): void;
  /** Let a filter cross the drawing. */
  slide(): void;
  /** A wire was clicked on: of a sum over channels it is this one. */
  chooseChannel(channel: number): void;
}

interface Part {
  name: StageLayer | "filters";
  tiles: Tiles;
  heading: HTMLElement;
  legend: Legend;
}

/** Screens at least as high have room for the large sizes, with a dock below them. */
const HIGH = 940;

export class Stage {
  readonly root = element("div", { class: "lab-stage" });
  readonly scores: Scores;
  layout: Layout | null = null;
  /** The way of the number that is shown now. */
  path: Path | null = null;
  /** The derivatives that the wires show; `null`: they show what goes forward. */
  back: WayBack | null = null;
  /** Pixels that were changed to mislead the network: they have a frame. */
  changed: readonly number[] = [];
  private readonly parts = new Map<Part["name"], Part>();
  private readonly wires: Wires;
  private state: State | null = null;
  private sums = false;
  /** What it was arranged for. */
  private arranged = "";
  private cell: Cell | null = null;
  /** The sum that a slide has come to: its picture is filled up to there. */
  private partly: Cell | null = null;
  private readonly slideButton: HTMLButtonElement;
  /** What the colours of the wires mean. */
  private readonly wireKey = element(
    "span",
    { class: "lab-wire-key" },
    element("span", { class: "lab-key-for" }),
    " for ",
    element("span", { class: "lab-key-against" }),
    " against",
  );
  /** The filter that fills it. */
  private readonly overlay = new Tiles({ label: "", passive: true });

  /** @param pad Room for the drawing, with what belongs to it; `examples` stands below it. */
  constructor(
    private readonly engine: Engine,
    private readonly actions: StageActions,
    private readonly pad: HTMLElement,
    private readonly examples: HTMLElement,
  ) {
    this.scores = new Scores(
      (cell) => actions.choose(cell, false),
      (cell) => actions.hover(cell),
    );
    this.wires = new Wires((end) => this.boxOf(end));
    this.slideButton = button("▶ Slide", () => actions.slide(), "lab-link lab-slide-start");
    this.slideButton.title = "A filter crosses your digit, step by step";
    // By keyboard: from the arithmetic of a number of the first layer. Each layer is one stop.
    this.slideButton.tabIndex = -1;
    this.root.append(pad, examples);
    this.add("input", "What the network sees");
    this.add("filters", "Filters of the first layer");
    this.add("pictures1", "First layer");
    this.add("pictures2", "Second layer");
    this.add("fc1", "Units");
    this.overlay.root.classList.add("lab-sliding");
    this.root.append(this.overlay.root, this.wires.root, this.scores.root);
    this.listen();
  }

  private add(name: Part["name"], title: string): void {
    const isFilter = name === "filters";
    const cellAt = (index: number): Cell => ({ layer: this.layerOf(name as StageLayer), index });
    const tiles = new Tiles({
      label: title,
      whole: isFilter,
      describe: (index) => (isFilter ? `filter ${index}` : this.inWords(cellAt(index))),
      onchoose: (index, enter) =>
        isFilter
          ? this.actions.chooseFilter(index, enter)
          : this.actions.choose(cellAt(index), enter),
      onhover: (index) => {
        if (!isFilter) this.actions.hover(index === null ? null : cellAt(index));
      },
    });
    setAttribute(tiles.root, "data-layer", name);
    const heading = element("p", { class: "lab-heading" });
    const legend = new Legend();
    this.parts.set(name, { name, tiles, heading, legend });
    if (!isFilter) this.root.append(heading);
    this.root.append(tiles.root);
  }

  /** Clicks beside the pictures may be meant for a wire. */
  private listen(): void {
    const wireAt = (event: MouseEvent): ReturnType<Wires["near"]> => {
      if (event.target !== this.root) return null;
      const box = this.root.getBoundingClientRect();
      return this.wires.near(event.clientX - box.left, event.clientY - box.top);
    };
    this.root.addEventListener("pointermove", (event) => {
      this.root.classList.toggle("lab-on-wire", wireAt(event) !== null);
    });
    this.root.addEventListener("click", (event) => {
      const wire = wireAt(event);
      if (!wire) return;
      const isSum = this.cell && STAGE_LAYER[this.cell.layer] === "pictures2";
      if (isSum && wire.channel !== undefined) this.actions.chooseChannel(wire.channel);
      else this.actions.choose(wire.cell, false);
    });
  }

  /** The layer whose numbers a part shows. */
  private layerOf(name: StageLayer): LayerName {
    if (name === "pictures1") return this.sums ? "conv1" : "pool1";
    if (name === "pictures2") return this.sums ? "conv2" : "pool2";
    return name;
  }

  private inWords(cell: Cell): string {
    if (!this.state) return "";
    const value = this.state.activations[cell.layer][cell.index] ?? 0;
    return `${placeInWords(cell, this.state.shapes)}: ${decimal(value)}`;
  }

  // --- Where everything stands -----------------------------------------------------------

  /** Make room for this width; and show the sums before pooling and ReLU, or not. */
  arrange(state: State, width: number, sums: boolean): void {
    this.sums = sums && state.architecture.pooling;
    this.state = state;
    const shown = shownOf(state, this.sums);
    const high = window.innerHeight >= HIGH;
    const key = JSON.stringify([width, high, this.sums, shown]);
    if (key === this.arranged) return;
    this.arranged = key;
    const layout = layOut(width, high, shown);
    this.layout = layout;
    this.root.style.height = `${layout.height}px`;
    setBox(this.pad, layout.pad);
    setBox(this.examples, layout.examples);
    this.scores.place(layout);
    const blocks: Record<Part["name"], Block | null> = {
      input: layout.input,
      filters: layout.filters,
      pictures1: layout.pictures1,
      pictures2: layout.pictures2,
      fc1: layout.units,
      logits: null,
    };
    for (const part of this.parts.values()) {
      const block = blocks[part.name];
      part.tiles.root.hidden = block === null;
      if (!block) continue;
      part.tiles.arrange(this.shapeOf(part.name), block);
      this.title(part, block, layout);
    }
  }

  private title({ name, heading, legend }: Part, block: Block, layout: Layout): void {
    const { conv1, conv2, shapes } = this.state!;
    const side = conv1.filterSize;
    const size = (conv: typeof conv1): string =>
      this.sums
        ? `sums ${conv.outputSize}×${conv.outputSize}`
        : `pictures ${conv.pooledSize}×${conv.pooledSize}`;
    const words: Record<string, string[]> = {
      input: [layout.wide ? "What the network sees: 28×28" : "It sees: 28×28"],
      pictures1: [
        `Layer 1: ${conv1.numFilters} filters ${side}×${side}`,
        `${conv1.numFilters} ${size(conv1)}`,
      ],
      pictures2: [
        `Layer 2: ${conv2.numFilters} filters ${side}×${side}×${conv2.inputChannels}`,
        `${conv2.numFilters} ${size(conv2)}`,
      ],
      fc1: layout.wide ? ["", `${shapes.fc1[0]} units`] : [`${shapes.fc1[0]} units`],
    };
    if (name === "filters") return;
    const [first, ...second] = words[name].map((text) => element("span", {}, text));
    heading.replaceChildren(first, ...second.flatMap((one) => [" ", one]));
    if (name === "fc1") (layout.wide ? first : heading).append(" ", this.wireKey);
    if (name !== "input") heading.append(" ", legend.root);
    if (name === "pictures1") first.append(" ", this.slideButton);
    let { left } = name === "pictures1" && layout.filters ? layout.filters : block;
    if (!layout.wide && name !== "input") left = 0;
    heading.style.left = `${left}px`;
    heading.style.bottom = `${layout.height - block.top + 3}px`;
  }

  private shapeOf(name: Part["name"]): TileShape {
    const { conv1, conv2, shapes } = this.state!;
    const side = (conv: typeof conv1): number => (this.sums ? conv.outputSize : conv.pooledSize);
    const square = (length: number, count: number): TileShape => ({
      height: length,
      width: length,
      count,
    });
    switch (name) {
      case "input":
        return square(28, 1);
      case "filters":
        return square(conv1.filterSize, conv1.numFilters);
      case "pictures1":
        return square(side(conv1), conv1.numFilters);
      case "pictures2":
        return square(side(conv2), conv2.numFilters);
      default:
        return { height: 1, width: 1, count: shapes.fc1[0] };
    }
  }

  /** A wire's end, or a mark, on the stage. */
  private boxOf(anchor: Anchor): Box {
    if (anchor.layer === "logits") return this.scores.box(anchor.map, this.layout!);
    return this.parts.get(anchor.layer)!.tiles.box(this.scaled(anchor));
  }

  /** An anchor in the numbers that are shown: sums are twice as many to a row. */
  private scaled(anchor: Anchor): Anchor {
    const isPicture = anchor.layer === "pictures1" || anchor.layer === "pictures2";
    if (!this.sums || !isPicture) return anchor;
    const double = { ...anchor };
    for (const side of ["row", "column", "height", "width"] as const) double[side] *= 2;
    return double;
  }

  // --- What it shows ---------------------------------------------------------------------

  /**
   * Show the way of a number (`null`: of none), and draw all layers where `numbers` changed.
   *
   * @param without What the logits would be without the reader's changes; `null` if there are none.
   * @param open Of a sum over channels the one that the reader opened.
   */
  update(
    state: State,
    without: Float32Array | null,
    cell: Cell | null,
    open: number | null,
    numbers: boolean,
  ): void {
    this.state = state;
    if (numbers) this.draw(without);
    this.cell = cell;
    this.path = cell ? pathOf(this.engine, state, cell) : null;
    if (cell && this.path && this.back) this.path = gradientPath(state, cell, this.path, this.back);
    this.wires.show(this.path, this.layout!.wide, open ?? this.loudestChannel());
    this.scores.mark(this.path?.parts ?? null);
    const own = cell ? [{ ...anchorOf(state, cell), kind: "own" as const }] : [];
    const changed = this.changed.map((index) => ({
      ...anchorOf(state, { layer: "input", index }),
      kind: "changed" as const,
    }));
    for (const { name, tiles } of this.parts.values()) {
      const marks = [...changed, ...(this.path?.marks ?? []), ...own].filter(
        ({ layer }) => layer === name,
      );
      tiles.mark(marks.map((mark) => this.scaled(mark)));
    }
    this.overlay.root.hidden = this.partly === null;
    if (this.partly) this.lay(this.partly);
  }

  private draw(without: Float32Array | null): void {
    const state = this.state!;
    for (const { name, tiles, legend } of this.parts.values()) {
      if (tiles.root.hidden) continue;
      const layer = name === "filters" ? null : this.layerOf(name);
      const values = layer ? state.activations[layer] : state.weights["conv1/weights"];
      const scale = layer ? layerScale(layer, values) : weightScale(values);
      const isFilling = name === "pictures1" && this.partly !== null;
      tiles.draw(isFilling ? this.filledSoFar(values) : values, scale);
      legend.update(scale);
    }
    this.scores.update(state, without);
  }

  /** Lay the filter that crosses the digit on the place that it has come to. */
  private lay(cell: Cell): void {
    const { shapes, weights, conv1 } = this.state!;
    const [row, column, filter] = placeOf(shapes.conv1, cell.index);
    const { filterSize, numFilters, stride, padding } = conv1;
    const all = weights["conv1/weights"];
    const input = this.layout!.input;
    this.overlay.arrange(
      { height: filterSize, width: filterSize, count: 1 },
      {
        ...input,
        left: input.left + (column * stride - padding) * input.cell[0],
        top: input.top + (row * stride - padding) * input.cell[1],
      },
    );
    this.overlay.draw(
      all.filter((_, i) => i % numFilters === filter),
      weightScale(all),
    );
  }

  /** Rewrite the labels of the focused cells: it takes too long while the pen moves. */
  describe(): void {
    for (const { tiles } of this.parts.values()) tiles.describe();
  }

  private loudestChannel(): number | null {
    const values = (this.path?.back ?? []).map(({ value }) => Math.abs(value));
    return values.length > 1 ? values.indexOf(largest(values)) : null;
  }

  /** Outline the chosen number. */
  choose(cell: Cell | null): void {
    for (const { name, tiles } of this.parts.values()) {
      if (name === "filters") continue;
      const isHere = cell !== null && STAGE_LAYER[cell.layer] === name;
      const shown = isHere ? this.shownIndex(cell, name) : null;
      tiles.choose(shown);
    }
    this.scores.choose(cell);
  }

  /** Where a cell stands among the numbers that are shown; `null` if it is not one of them. */
  private shownIndex(cell: Cell, name: StageLayer): number | null {
    const layer = this.layerOf(name);
    const same = cell.layer === layer || (cell.layer === "flat" && layer === "pool2");
    return same ? cell.index : null;
  }

  focus(cell: Cell): void {
    const name = STAGE_LAYER[cell.layer];
    if (name === "logits") this.scores.focus(cell);
    else this.parts.get(name)!.tiles.focus();
  }

  focusFilters(): void {
    this.parts.get("filters")!.tiles.focus();
  }

  chooseFilter(filter: number | null): void {
    this.parts.get("filters")!.tiles.choose(filter);
  }

  /** Fill one picture of the first layer's sums only up to this one; `null` to show all of it. */
  fill(partly: Cell | null): void {
    this.partly = partly;
  }

  private filledSoFar(values: Float32Array): Float32Array {
    const { index } = this.partly!;
    const { numFilters } = this.state!.conv1;
    const map = index % numFilters;
    return values.map((value, i) => (i % numFilters === map && i > index ? 0 : value));
  }

  /** The wires that are shown draw themselves once, from left to right. */
  pulse(): void {
    this.root.classList.add("lab-pulse");
    this.wires.root.addEventListener(
      "animationend",
      () => this.root.classList.remove("lab-pulse"),
      {
        once: true,
      },
    );
  }
}

function setBox(target: HTMLElement, box: Box): void {
  Object.assign(target.style, {
    left: `${box.left}px`,
    top: `${box.top}px`,
    width: `${box.width}px`,
    height: `${box.height}px`,
  });
}
