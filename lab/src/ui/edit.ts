/** Changing the network: filters are silenced, or their numbers edited, and put back. */

import type { Weights } from "../network.ts";
import { paint } from "./colours.ts";
import { button, element, newId, setAttribute, setText } from "./dom.ts";
import { weightScale, type State } from "./state.ts";

/** One small filter: of the first layer (channel 0) or of the second. */
export interface FilterPlace {
  layer: 1 | 2;
  channel: number;
  filter: number;
}

/** A filter with all its channels. */
type Filter = Omit<FilterPlace, "channel">;

/** The reader's changes, as they can be written down. */
export interface Changes {
  silenced: Filter[];
  biases: (Filter & { value: number })[];
  /** All numbers of each small filter in which one was changed. */
  filters: (FilterPlace & { numbers: Float32Array })[];
}

/** The largest number that a weight or a bias can be set to, and its negative the smallest. */
const LARGEST = 1000;

function isWeight(value: number): boolean {
  return Number.isFinite(value) && Math.abs(value) <= LARGEST;
}

/** Whether a network has the filters that were changed, and the numbers could be its weights. */
export function fitsChanges(
  { silenced, biases, filters }: Changes,
  state: Pick<State, "conv1" | "conv2">,
): boolean {
  const has = ({ layer, filter }: Filter): boolean => filter < state[`conv${layer}`].numFilters;
  return (
    [...silenced, ...biases, ...filters].every(has) &&
    biases.every(({ value }) => isWeight(value)) &&
    filters.every(({ layer, channel, numbers }) => {
      const { inputChannels, filterSize } = state[`conv${layer}`];
      return (
        channel < inputChannels && numbers.length === filterSize ** 2 && numbers.every(isWeight)
      );
    })
  );
}

const key = (...parts: number[]): string => parts.join(".");

/**
 * The reader's changes, kept apart from the weights that they change: so they can be taken
 * back one by one, and stay when the network of another moment is put below them.
 */
export class Edits {
  /** "layer.filter" of the silenced filters. */
  private readonly silenced = new Set<string>();
  /** "layer.channel.filter" to the filter's numbers. */
  private readonly filters = new Map<string, Float32Array>();
  /** "layer.filter" to its bias. */
  private readonly biases = new Map<string, number>();

  /** How many filters are not as they were. */
  get count(): number {
    const changed = new Set([...this.silenced, ...this.biases.keys()]);
    for (const name of this.filters.keys()) {
      const [layer, , filter] = name.split(".");
      changed.add(`${layer}.${filter}`);
    }
    return changed.size;
  }

  clear(): void {
    this.silenced.clear();
    this.filters.clear();
    this.biases.clear();
  }

  /** All of them, to be written down. */
  get changes(): Changes {
    const place = (name: string): Filter => {
      const parts = name.split(".").map(Number);
      return { layer: parts[0] as 1 | 2, filter: parts.at(-1)! };
    };
    return {
      silenced: [...this.silenced].map(place),
      biases: [...this.biases].map(([name, value]) => ({ ...place(name), value })),
      filters: [...this.filters].map(([name, numbers]) => ({
        ...place(name),
        channel: Number(name.split(".")[1]),
        numbers,
      })),
    };
  }

  /** Take over changes that were written down, in place of all there are. */
  set changes({ silenced, biases, filters }: Changes) {
    this.clear();
    for (const place of silenced) this.silence(place, true);
    for (const { value, ...place } of biases) this.setBias(place, value);
    for (const { numbers, ...place } of filters) this.setFilter(place, numbers);
  }

  isSilenced({ layer, filter }: Filter): boolean {
    return this.silenced.has(key(layer, filter));
  }

  silence({ layer, filter }: Filter, silent: boolean): void {
    if (silent) this.silenced.add(key(layer, filter));
    else this.silenced.delete(key(layer, filter));
  }

  setFilter({ layer, channel, filter }: FilterPlace, numbers: Float32Array): void {
    this.filters.set(key(layer, channel, filter), numbers);
  }

  setBias({ layer, filter }: Filter, value: number): void {
    this.biases.set(key(layer, filter), value);
  }

  /** Put one filter back: silence, bias, and its numbers for all channels. */
  reset({ layer, filter }: Filter): void {
    this.silenced.delete(key(layer, filter));
    this.biases.delete(key(layer, filter));
    for (const name of [...this.filters.keys()]) {
      const [itsLayer, , itsFilter] = name.split(".").map(Number);
      if (itsLayer === layer && itsFilter === filter) this.filters.delete(name);
    }
  }

  /** The weights with all changes, in new arrays where something changes; `silence: false` leaves that out. */
  apply(state: Pick<State, "conv1" | "conv2">, base: Weights, silence = true): Weights {
    if (this.count === 0) return base;
    const changed: Weights = { ...base };
    const fresh = new Set<keyof Weights>();
    const array = (name: keyof Weights): Float32Array => {
      if (!fresh.has(name)) {
        fresh.add(name);
        changed[name] = base[name].slice();
      }
      return changed[name];
    };
    for (const [name, numbers] of this.filters) {
      const [layer, channel, filter] = name.split(".").map(Number) as [1 | 2, number, number];
      const { inputChannels, numFilters } = state[`conv${layer}`];
      const weights = array(`conv${layer}/weights`);
      numbers.forEach(
        (value, place) =>
          (weights[(place * inputChannels + channel) * numFilters + filter] = value),
      );
    }
    for (const [name, value] of this.biases) {
      const [layer, filter] = name.split(".").map(Number) as [1 | 2, number];
      array(`conv${layer}/biases`)[filter] = value;
    }
    for (const name of silence ? this.silenced : []) {
      // Weights and bias of zero make sums of zero, and ReLU lets none of them through.
      const [layer, filter] = name.split(".").map(Number) as [1 | 2, number];
      const weights = array(`conv${layer}/weights`);
      const { numFilters } = state[`conv${layer}`];
      for (let i = filter; i < weights.length; i += numFilters) weights[i] = 0;
      array(`conv${layer}/biases`)[filter] = 0;
    }
    return changed;
  }
}

/** A small filter's numbers, row-major. */
export function filterNumbers(
  state: State,
  weights: Weights,
  { layer, channel, filter }: FilterPlace,
): Float32Array {
  const { filterSize, inputChannels, numFilters } = state[`conv${layer}`];
  const all = weights[`conv${layer}/weights`];
  return Float32Array.from(
    { length: filterSize * filterSize },
    (_, place) => all[(place * inputChannels + channel) * numFilters + filter],
  );
}

/** A quarter turn to the right. */
function turned(numbers: Float32Array): Float32Array {
  const side = Math.sqrt(numbers.length);
  return numbers.map(
    (_, place) => numbers[(side - 1 - (place % side)) * side + Math.floor(place / side)],
  );
}

export interface EditorActions {
  changed(): void;
  /** Another filter is asked for. */
  go(place: FilterPlace): void;
  /** The panel was closed. */
  close(place: FilterPlace): void;
}

/** The panel in which one filter is changed. */
export class FilterEditor {
  readonly root: HTMLElement;
  private readonly title = element("h4", { tabindex: -1, id: newId("title") });
  private readonly silent = element("input", { type: "checkbox" });
  private readonly table = element("table", { class: "lab-numbers lab-inputs" });
  private readonly bias = element("input", { type: "number", step: 0.01, class: "lab-number" });
  private readonly problem = element("p", { class: "lab-problem", role: "status" });
  private readonly channels: HTMLElement;
  private readonly channel = element("input", { type: "number", min: 0, step: 1 });
  private readonly filter = element("input", { type: "number", min: 0, step: 1 });
  private inputs: HTMLInputElement[] = [];
  private place: FilterPlace | null = null;
  private state: State | null = null;

  constructor(
    private readonly edits: Edits,
    private readonly actions: EditorActions,
  ) {
    this.channels = element("label", {}, "channel ", this.channel);
    const wanted = (): void => {
      const conv = this.state![`conv${this.place!.layer}`];
      const [filter, channel] = [Number(this.filter.value), Number(this.channel.value)];
      const fits = (value: number, count: number): boolean =>
        Number.isInteger(value) && value >= 0 && value < count;
      if (
        this.filter.value !== "" &&
        this.channel.value !== "" &&
        fits(filter, conv.numFilters) &&
        fits(channel, conv.inputChannels)
      ) {
        actions.go({ ...this.place!, channel, filter });
      }
    };
    this.filter.addEventListener("input", wanted);
    this.channel.addEventListener("input", wanted);
    this.silent.addEventListener("change", () => {
      edits.silence(this.place!, this.silent.checked);
      actions.changed();
    });
    this.bias.addEventListener("input", () => {
      const value = this.read(this.bias);
      if (value === null) return;
      edits.setBias(this.place!, value);
      actions.changed();
    });
    this.root = element(
      "section",
      { class: "lab-panel", "aria-labelledby": this.title.id, hidden: true },
      element(
        "div",
        { class: "lab-panel-head" },
        this.title,
        button("Close", () => this.close(), "lab-button lab-quiet"),
      ),
      element(
        "div",
        { class: "lab-steppers" },
        this.channels,
        element("label", {}, "filter ", this.filter),
      ),
      element(
        "p",
        {},
        element(
          "label",
          { class: "lab-check" },
          this.silent,
          " Silence this filter: its picture becomes all zeros",
        ),
      ),
      this.table,
      element("p", {}, element("label", {}, "bias ", this.bias)),
      this.problem,
      element(
        "p",
        { class: "lab-buttons" },
        button("All zero", () => this.replace((numbers) => numbers.fill(0))),
        button("Turn by a quarter", () => this.replace(turned)),
        button("Swap red and blue", () =>
          this.replace((numbers) => numbers.map((value) => -value)),
        ),
        button("Put this filter back", () => {
          edits.reset(this.place!);
          actions.changed();
        }),
      ),
    );
  }

  show(state: State, place: FilterPlace): void {
    this.place = place;
    this.root.hidden = false;
    this.update(state);
  }

  focus(): void {
    this.title.focus();
  }

  private close(): void {
    this.root.hidden = true;
    this.actions.close(this.place!);
  }

  /** Show the filter as it is now. */
  update(state: State): void {
    this.state = state;
    const { place } = this;
    if (!place || this.root.hidden) return;
    const conv = state[`conv${place.layer}`];
    if (place.filter >= conv.numFilters || place.channel >= conv.inputChannels) {
      this.root.hidden = true;
      return;
    }
    this.channels.hidden = place.layer === 1;
    setAttribute(this.filter, "max", conv.numFilters - 1);
    setAttribute(this.channel, "max", conv.inputChannels - 1);
    fill(this.filter, String(place.filter));
    fill(this.channel, String(place.channel));
    setText(
      this.title,
      place.layer === 1
        ? `Filter ${place.filter} of the first layer`
        : `Filter ${place.filter} of the second layer, its window on channel ${place.channel}`,
    );
    this.silent.checked = this.edits.isSilenced(place);
    this.setSize(conv.filterSize);
    const weights = this.unsilenced(state);
    const scale = weightScale(weights[`conv${place.layer}/weights`]);
    filterNumbers(state, weights, place).forEach((value, i) => {
      fill(this.inputs[i], value.toFixed(3));
      paint(this.inputs[i], scale, value);
    });
    fill(this.bias, weights[`conv${place.layer}/biases`][place.filter].toFixed(3));
  }

  /** The weights with the reader's numbers, even of a silenced filter: they come back with it. */
  private unsilenced(state: State): Weights {
    return this.edits.apply(state, state.base, false);
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
      input.addEventListener("input", () => this.change(i));
      return input;
    });
    this.table.replaceChildren(
      element("caption", {}, "its weights"),
      element(
        "tbody",
        {},
        ...Array.from({ length: side }, (_, row) =>
          element(
            "tr",
            {},
            ...this.inputs
              .slice(row * side, (row + 1) * side)
              .map((input) => element("td", {}, input)),
          ),
        ),
      ),
    );
  }

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

  private change(place: number): void {
    const value = this.read(this.inputs[place]);
    if (value === null) return;
    // Only this number: the other fields show three decimals of numbers that have more.
    this.replace((numbers) => numbers.map((number, i) => (i === place ? value : number)));
  }

  private replace(change: (numbers: Float32Array) => Float32Array): void {
    this.edits.setFilter(
      this.place!,
      change(filterNumbers(this.state!, this.unsilenced(this.state!), this.place!)),
    );
    this.actions.changed();
  }
}

/** Write into a field, unless the reader is writing there. */
function fill(input: HTMLInputElement, value: string): void {
  if (input !== document.activeElement && input.value !== value) input.value = value;
}
