/** The reader's changes to the network: filters silenced, numbers changed, and all of it undone. */

import type { Weights } from "../network.ts";
import { silencedWeights } from "./path.ts";
import type { State } from "./state.ts";

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

/** The largest number that a weight or a bias can be set to; its negative is the smallest. */
const LARGEST = 1000;
/** How many steps can be taken back. */
const MOST_STEPS = 100;

export function isWeight(value: number): boolean {
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

  /** What the changes were before each of the latest steps. */
  private readonly history: Changes[] = [];

  /** Remember how it is now, for `undo`: called before a change, once for a whole stroke. */
  remember(): void {
    this.history.push(this.changes);
    if (this.history.length > MOST_STEPS) this.history.shift();
  }

  get canUndo(): boolean {
    return this.history.length > 0;
  }

  /** Take the latest step back. */
  undo(): void {
    const before = this.history.pop();
    if (before) this.take(before);
  }

  /** How many filters are not as they were. */
  get count(): number {
    const changed = new Set([...this.silenced, ...this.biases.keys()]);
    for (const name of this.filters.keys()) {
      const [layer, , filter] = name.split(".");
      changed.add(`${layer}.${filter}`);
    }
    return changed.size;
  }

  /** Take everything back; there is no way back from that. */
  clear(): void {
    this.history.length = 0;
    this.empty();
  }

  private empty(): void {
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
  set changes(changes: Changes) {
    this.clear();
    this.take(changes);
  }

  private take({ silenced, biases, filters }: Changes): void {
    this.empty();
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
    let result = changed;
    for (const name of silence ? this.silenced : []) {
      // Weights and bias of zero make sums of zero, and ReLU lets none of them through.
      const [layer, filter] = name.split(".").map(Number) as [1 | 2, number];
      result = silencedWeights(result, layer, state[`conv${layer}`], filter);
    }
    return result;
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
