/** The dock's page on which one filter is changed: by hand, by number, or as a whole. */

import { paint } from "./colours.ts";
import { button, element, newId, setAttribute, setText } from "./dom.ts";
import { filterNumbers, isWeight, type Edits, type FilterPlace } from "./edits.ts";
import { changeInWords } from "./scores.ts";
import { weightScale, type State } from "./state.ts";

export interface EditorActions {
  changed(): void;
  /** Another filter is asked for. */
  go(place: FilterPlace): void;
}

/** How many pixels of dragging take a weight across the whole colour scale. */
const DRAG = 120;

/** A quarter turn to the right. */
function turned(numbers: Float32Array): Float32Array {
  const side = Math.sqrt(numbers.length);
  return numbers.map(
    (_, place) => numbers[(side - 1 - (place % side)) * side + Math.floor(place / side)],
  );
}

/** What a pen that moves over the weights does. */
type Pen = "drag" | "red" | "blue";

export class FilterEditor {
  readonly root: HTMLElement;
  readonly head: HTMLElement;
  private readonly title = element("h2", { tabindex: -1, id: newId("title") });
  private readonly silent = element("input", { type: "checkbox" });
  private readonly table = element("table", { class: "lab-numbers lab-inputs" });
  private readonly bias = element("input", { type: "number", step: 0.01, class: "lab-number" });
  private readonly problem = element("p", { class: "lab-problem", role: "status" });
  private readonly effect = element("p", { class: "lab-effect", role: "status" });
  private readonly layer = element("select", { "aria-label": "layer" });
  private readonly channels: HTMLElement;
  private readonly channel = element("input", { type: "number", min: 0, step: 1 });
  private readonly filter = element("input", { type: "number", min: 0, step: 1 });
  private readonly undoButton: HTMLButtonElement;
  private pen: Pen = "drag";
  private inputs: HTMLInputElement[] = [];
  private place: FilterPlace = { layer: 1, channel: 0, filter: 0 };
  private state: State | null = null;
  /** The step that is being made: a field that is typed in, or a stroke over the weights. */
  private step: unknown = null;

  constructor(
    private readonly edits: Edits,
    private readonly actions: EditorActions,
  ) {
    for (const n of [1, 2]) this.layer.append(element("option", { value: n }, String(n)));
    this.channels = element("label", {}, "picture ", this.channel);
    for (const field of [this.layer, this.filter, this.channel])
      field.addEventListener("input", () => this.wanted());
    this.silent.addEventListener("change", () => {
      edits.remember();
      edits.silence(this.place, this.silent.checked);
      actions.changed();
    });
    this.bias.addEventListener("input", () => {
      const value = this.read(this.bias);
      if (value === null) return;
      this.begin(this.bias);
      edits.setBias(this.place, value);
      actions.changed();
    });
    this.undoButton = button("Undo", () => {
      this.step = null;
      edits.undo();
      actions.changed();
    });
    this.head = element(
      "div",
      { class: "lab-dock-title" },
      this.title,
      element(
        "div",
        { class: "lab-steppers" },
        element("label", {}, "layer ", this.layer),
        element("label", {}, "filter ", this.filter),
        this.channels,
      ),
    );
    this.root = element("div", { class: "lab-editor lab-equation" }, this.table, this.tools());
    this.listenToPen();
  }

  private tools(): HTMLElement {
    const whole = (name: string, change: (numbers: Float32Array) => Float32Array): HTMLElement =>
      button(name, () => {
        this.edits.remember();
        this.replace(change);
      });
    return element(
      "div",
      { class: "lab-editor-tools" },
      element(
        "label",
        { class: "lab-check" },
        this.silent,
        " Silence this filter: its picture becomes all zeros",
      ),
      this.pens(),
      element(
        "div",
        { class: "lab-buttons" },
        whole("Turn by 90°", turned),
        whole("Swap red and blue", (numbers) => numbers.map((value) => -value)),
        whole("All zero", (numbers) => numbers.map(() => 0)),
        button("Put this filter back", () => {
          this.edits.remember();
          this.edits.reset(this.place);
          this.actions.changed();
        }),
        this.undoButton,
        element("label", {}, "bias ", this.bias),
      ),
      this.effect,
      this.problem,
    );
  }

  private pens(): HTMLElement {
    const name = newId("pen");
    const pens: [Pen, string][] = [
      ["drag", "drag a weight up or down"],
      ["red", "draw red"],
      ["blue", "draw blue"],
    ];
    return element(
      "fieldset",
      { class: "lab-pens" },
      element("legend", { class: "lab-hidden" }, "What the pointer does to the weights"),
      ...pens.map(([pen, words]) => {
        const radio = element("input", {
          type: "radio",
          name,
          value: pen,
          checked: pen === "drag",
        });
        radio.addEventListener("change", () => {
          this.pen = pen;
          setAttribute(this.table, "data-pen", pen);
        });
        return element("label", {}, radio, ` ${words}`);
      }),
    );
  }

  /** Another filter is asked for by number. */
  private wanted(): void {
    const layer = Number(this.layer.value) as 1 | 2;
    const conv = this.state![`conv${layer}`];
    const [filter, channel] = [this.filter, this.channel].map(({ value }) =>
      value === "" ? -1 : Number(value),
    );
    const fits = (value: number, count: number): boolean =>
      Number.isInteger(value) && value >= 0 && value < count;
    const changesLayer = layer !== this.place.layer;
    if (changesLayer) this.actions.go({ layer, channel: 0, filter: 0 });
    else if (fits(filter, conv.numFilters) && fits(channel, conv.inputChannels))
      this.actions.go({ layer, channel, filter });
  }

  show(place: FilterPlace): void {
    this.place = place;
    this.step = null;
    if (this.state) this.update(this.state, null);
  }

  get filterPlace(): FilterPlace {
    return this.place;
  }

  focus(): void {
    this.title.focus({ preventScroll: true });
  }

  /**
   * Show the filter as it is now.
   *
   * @param without What the logits would be without the reader's changes; `null` if there are none.
   */
  update(state: State, without: Float32Array | null): void {
    this.state = state;
    const asked = state[`conv${this.place.layer}`];
    if (this.place.filter >= asked.numFilters || this.place.channel >= asked.inputChannels)
      this.place = { layer: this.place.layer, channel: 0, filter: 0 };
    const { place } = this;
    const conv = state[`conv${place.layer}`];
    this.channels.hidden = place.layer === 1;
    this.layer.value = String(place.layer);
    setAttribute(this.filter, "max", conv.numFilters - 1);
    setAttribute(this.channel, "max", conv.inputChannels - 1);
    fill(this.filter, String(place.filter));
    fill(this.channel, String(place.channel));
    setText(
      this.title,
      place.layer === 1
        ? `Layer 1, filter ${place.filter}`
        : `Layer 2, filter ${place.filter}, its slice for picture ${place.channel}`,
    );
    this.silent.checked = this.edits.isSilenced(place);
    this.undoButton.disabled = !this.edits.canUndo;
    this.setSize(conv.filterSize);
    const weights = this.edits.apply(state, state.base, false);
    const scale = weightScale(weights[`conv${place.layer}/weights`]);
    filterNumbers(state, weights, place).forEach((value, i) => {
      fill(this.inputs[i], value.toFixed(3));
      paint(this.inputs[i], scale, value);
    });
    fill(this.bias, weights[`conv${place.layer}/biases`][place.filter].toFixed(3));
    setText(
      this.effect,
      without
        ? `${changeInWords(without, state.activations.logits)}. Ghosts show the bars without your changes.`
        : "Change it, and the bars leave a ghost where they were.",
    );
  }

  private setSize(side: number): void {
    if (this.inputs.length === side * side) return;
    this.inputs = Array.from({ length: side * side }, (_, i) => {
      const input = element("input", {
        type: "number",
        step: 0.05,
        class: "lab-number",
        "aria-label": `weight in row ${Math.floor(i / side)}, column ${i % side}`,
      });
      input.addEventListener("input", () => this.typed(i));
      return input;
    });
    const rows = Array.from({ length: side }, (_, row) =>
      element(
        "tr",
        {},
        ...this.inputs.slice(row * side, (row + 1) * side).map((input) => element("td", {}, input)),
      ),
    );
    this.table.replaceChildren(
      element("caption", {}, "its weights"),
      element("tbody", {}, ...rows),
    );
  }

  // --- By hand ---------------------------------------------------------------------------

  private listenToPen(): void {
    const { table } = this;
    let start: { place: number; y: number; value: number; limit: number; moved: boolean } | null =
      null;
    const placeAt = (event: PointerEvent): number => {
      const under = document.elementFromPoint(event.clientX, event.clientY);
      return this.inputs.indexOf(under as HTMLInputElement);
    };
    table.addEventListener("pointerdown", (event) => {
      const place = placeAt(event);
      if (place < 0 || event.button !== 0) return;
      const numbers = this.numbers();
      const limit = weightScale(this.state!.base[`conv${this.place.layer}/weights`]).high;
      start = { place, y: event.clientY, value: numbers[place], limit, moved: false };
      if (this.pen === "drag") return;
      event.preventDefault();
      this.edits.remember();
      this.paintAt(place, limit);
    });
    window.addEventListener("pointermove", (event) => {
      if (!start) return;
      if (this.pen !== "drag") {
        const place = placeAt(event);
        if (place >= 0) this.paintAt(place, start.limit);
        return;
      }
      const way = start.y - event.clientY;
      // A click that trembles is not a drag.
      if (!start.moved && Math.abs(way) < 3) return;
      if (!start.moved) {
        this.edits.remember();
        (document.activeElement as HTMLElement | null)?.blur();
      }
      start.moved = true;
      event.preventDefault();
      this.setOne(start.place, start.value + (way / DRAG) * 2 * start.limit);
    });
    for (const kind of ["pointerup", "pointercancel"] as const)
      window.addEventListener(kind, () => (start = null));
  }

  private paintAt(place: number, limit: number): void {
    this.setOne(place, this.pen === "red" ? limit : -limit);
  }

  // --- By number -------------------------------------------------------------------------

  /** A field's number; `null` and a message if it holds none. */
  private read(input: HTMLInputElement): number | null {
    const value = input.valueAsNumber;
    const good = isWeight(value);
    setAttribute(input, "aria-invalid", good ? undefined : "true");
    setText(
      this.problem,
      good ? "" : "That is not a number between −1000 and 1000; the filter keeps the one it had.",
    );
    return good ? value : null;
  }

  /** What is typed in one field is one step. */
  private begin(field: unknown): void {
    if (this.step === field) return;
    this.step = field;
    this.edits.remember();
  }

  private typed(place: number): void {
    const value = this.read(this.inputs[place]);
    if (value === null) return;
    this.begin(this.inputs[place]);
    this.setOne(place, value);
  }

  private numbers(): Float32Array {
    const state = this.state!;
    return filterNumbers(state, this.edits.apply(state, state.base, false), this.place);
  }

  /** Only this number: the other fields show three decimals of numbers that have more. */
  private setOne(place: number, value: number): void {
    this.replace((numbers) => numbers.map((number, i) => (i === place ? value : number)));
  }

  private replace(change: (numbers: Float32Array) => Float32Array): void {
    this.edits.setFilter(this.place, change(this.numbers()));
    this.actions.changed();
  }
}

/** Write into a field, unless the reader is writing there. */
function fill(input: HTMLInputElement, value: string): void {
  if (input !== document.activeElement && input.value !== value) input.value = value;
}
