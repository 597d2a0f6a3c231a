/** Which number is shown: a chosen one, one that is pointed at, or one that a slide has come to. */

import type { ArithmeticPanel } from "./arithmetic_panel.ts";
import { cellInWords, indexOf, placeOf, type Cell, type LayerName } from "./cells.ts";
import type { Dock } from "./dock.ts";
import { afterwards, element, setText } from "./dom.ts";
import type { FilterPlace } from "./edits.ts";
import type { FilterEditor } from "./filter_editor.ts";
import { signed } from "./numbers.ts";
import { convolutionOf, loudest, madeOf, type Wire } from "./path.ts";
import type { Slide } from "./slide.ts";
import type { Stage } from "./stage.ts";
import type { State } from "./state.ts";

/** Whether it is one of a convolution's sums, before pooling and ReLU. */
export function isSum(cell: Cell): boolean {
  return cell.layer === "conv1" || cell.layer === "conv2";
}

/** The sum that pooling took for a number, where it has one. */
function sumBehind(state: State, cell: Cell): Cell {
  if (cell.layer !== "pool1" && cell.layer !== "pool2") return cell;
  const layer = cell.layer === "pool1" ? "conv1" : "conv2";
  const { sum } = madeOf(state, cell);
  const index = indexOf(state.shapes[layer], [sum.row, sum.column, sum.filter]);
  return index === null ? cell : { layer, index };
}

/** The number of the finished picture that a sum may have become. */
function pooledFrom(state: State, cell: Cell): Cell {
  if (!isSum(cell)) return cell;
  const layer = cell.layer === "conv1" ? "pool1" : "pool2";
  const [row, column, map] = placeOf(state.shapes[cell.layer], cell.index);
  const step = state.architecture.pooling ? 2 : 1;
  const place = [Math.floor(row / step), Math.floor(column / step), map];
  const index = indexOf(state.shapes[layer], place);
  return index === null ? cell : { layer, index };
}

/** The number to begin with: the largest of the second layer. */
function mostTelling({ activations }: State): Cell {
  const values = activations.pool2;
  let index = 0;
  values.forEach((value, i) => {
    if (value > values[index]) index = i;
  });
  return { layer: "pool2", index };
}

/** The parts of the page that follow the choice. */
export interface Followers {
  stage: Stage;
  dock: Dock;
  panel: ArithmeticPanel;
  editor: FilterEditor;
  slide: Slide;
}

export interface ChoiceActions {
  state(): State;
  /** Show the choice in the next frame; `numbers`: redraw the layers as well. */
  redraw(numbers: boolean): void;
  /** Draw now what waits for the next frame. */
  drawNow(): void;
  /** The reader chose a number, and is no longer bound to a link's. */
  chosen(): void;
}

/** Which number is chosen, pointed at, or reached by a slide; and all that follows from that. */
export class Choice {
  /** Chosen: it stays. */
  pinned: Cell | null = null;
  /** Whether the first two layers show their sums, before pooling and ReLU. */
  sums = false;
  /** Until the reader does something, the number that tells most is shown. */
  private demo = false;
  private hovered: Cell | null = null;
  private sliding: Cell | null = null;
  private channel: number | null = null;
  private readonly way = element("p", { class: "lab-hidden", role: "status" });
  private readonly sayWaySoon = afterwards(700, () => this.sayWay());

  constructor(
    private readonly parts: Followers,
    private readonly actions: ChoiceActions,
  ) {}

  /** Words for those who do not see the wires. */
  get words(): HTMLElement {
    return this.way;
  }

  /** The number whose way is shown. */
  shown(): Cell | null {
    const shown = this.sliding ?? this.hovered ?? this.pinned;
    return shown ?? (this.demo ? mostTelling(this.actions.state()) : null);
  }

  /** Of a sum over channels the one that the reader opened; `null` for the loudest. */
  openChannel(): number | null {
    return this.hovered || this.sliding ? null : this.channel;
  }

  /** Whether nothing has been chosen yet, and the number that tells most is shown. */
  get isDemo(): boolean {
    return this.demo && !this.sliding && !this.hovered && !this.pinned;
  }

  showDemo(shown: boolean): void {
    this.demo = shown;
    this.actions.redraw(false);
  }

  /** The reader chose a number, or closed its arithmetic. */
  choose(cell: Cell | null, focus: boolean): void {
    this.parts.slide.stop();
    this.pin(cell, focus);
    this.sayWaySoon();
    this.actions.chosen();
  }

  /** Show a number, or none; its page comes up. */
  pin(cell: Cell | null, focus = false): void {
    const { dock, editor } = this.parts;
    this.take(cell);
    const layer = cell && convolutionOf(cell.layer);
    if (cell && layer && dock.page === "change") {
      const [, , filter] = placeOf(this.actions.state().shapes[gridOf(cell.layer)], cell.index);
      editor.show({ layer, filter, channel: 0 });
      dock.lift(true);
    } else if (cell && dock.page === "back") dock.lift(true);
    else if (cell) dock.turnTo("arithmetic");
    if (!cell || !focus) return;
    // The focus goes to a number that is there only once everything is drawn.
    this.actions.drawNow();
    this.parts.stage.focus(cell);
  }

  private take(cell: Cell | null): void {
    this.pinned = cell;
    this.hovered = null;
    this.sliding = null;
    this.channel = null;
    this.demo = false;
    // A sum has its place only among the sums, and what came of it only without them.
    const changes = cell && convolutionOf(cell.layer) !== null && this.sums !== isSum(cell);
    if (changes) this.sums = isSum(cell);
    this.actions.redraw(changes ?? false);
  }

  /** Close the arithmetic; the focus that was in there goes back to the picture. */
  close(): void {
    const { pinned } = this;
    const hadFocus = this.parts.dock.root.contains(document.activeElement);
    this.choose(null, false);
    this.parts.dock.lift(false);
    if (pinned && hadFocus) this.parts.stage.focus(pinned);
  }

  hover(cell: Cell | null): void {
    if (this.parts.slide.isOn) return;
    if (cell) this.demo = false;
    this.hovered = cell;
    this.actions.redraw(false);
  }

  chooseChannel(channel: number): void {
    // What is pointed at, or shown to begin with, is chosen by that.
    const shown = this.shown();
    if (shown && this.pinned !== shown) this.choose(shown, false);
    this.channel = channel;
    this.actions.redraw(false);
  }

  /** Show sums or what becomes of them; the chosen number goes along. */
  showSums(sums: boolean): void {
    const state = this.actions.state();
    const { pinned } = this;
    this.sums = sums;
    this.actions.redraw(true);
    if (pinned) this.choose(sums ? sumBehind(state, pinned) : pooledFrom(state, pinned), false);
  }

  edit(place: FilterPlace, focus: boolean): void {
    const { editor, stage, dock } = this.parts;
    editor.show(place);
    stage.chooseFilter(place.layer === 1 ? place.filter : null);
    dock.turnTo("change");
    if (focus) editor.focus();
  }

  /** Escape, and `[` and `]` along the widest wire. */
  key(event: KeyboardEvent): void {
    const { dock, stage } = this.parts;
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || target.matches("input, select")) return;
    const shown = this.shown();
    if (event.key === "Escape") {
      if (dock.root.contains(target) && this.pinned) stage.focus(this.pinned);
      else if (shown) this.choose(null, false);
      return;
    }
    if ((event.key !== "[" && event.key !== "]") || !shown) return;
    const wires = event.key === "[" ? stage.path?.back : stage.path?.forward;
    if (!wires?.length) return;
    event.preventDefault();
    this.choose(widest(wires).cell, true);
  }

  /** Say which way the number goes. */
  private sayWay(): void {
    const { path } = this.parts.stage;
    const { pinned } = this;
    if (!path || !pinned) return setText(this.way, "");
    const { shapes } = this.actions.state();
    const say = (words: string, wires: Wire[]): string => {
      if (wires.length === 0) return "";
      const { cell, value } = widest(wires);
      return ` ${words} ${cellInWords(cell, shapes)}, ${signed(value, 2)}.`;
    };
    const [from, to] = [say("Most comes from", path.back), say("Most goes to", path.forward)];
    setText(this.way, `${cellInWords(pinned, shapes)}.${from}${to}`);
  }

  // --- Sliding ----------------------------------------------------------------------------

  /** The first layer's filter that answers the drawing most strongly crosses it. */
  slideLoudest(): void {
    const { conv1, activations } = this.actions.state();
    const answers = new Float32Array(conv1.numFilters);
    activations.pool1.forEach((value, i) => (answers[i % conv1.numFilters] += value));
    this.parts.dock.turnTo("arithmetic");
    this.startSlide(loudest(Array.from(answers)));
  }

  startSlide(filter: number): void {
    this.sums = true;
    this.parts.slide.start(this.actions.state(), filter);
  }

  slideTo(cell: Cell): void {
    this.sliding = cell;
    this.parts.stage.fill(cell);
    this.actions.redraw(true);
  }

  endSlide(): void {
    const last = this.sliding;
    this.parts.stage.fill(null);
    this.take(last && pooledFrom(this.actions.state(), last));
    this.actions.redraw(true);
  }
}

const gridOf = (layer: LayerName): LayerName => (layer === "flat" ? "pool2" : layer);

function widest(wires: Wire[]): Wire {
  return wires[loudest(wires.map(({ value }) => value))];
}
