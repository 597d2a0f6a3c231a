/** Where everything stands in the picture of the network, in CSS pixels: beside each other, or below. */

import type { State } from "./state.ts";

/** A rectangle, in pixels of the stage. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Pictures in rows: where the first begins, the size of a number, the way to the next picture. */
export interface Block {
  left: number;
  top: number;
  columns: number;
  /** Width and height of a number. */
  cell: readonly [number, number];
  /** From one picture to the next, to the right and down. */
  step: readonly [number, number];
}

export interface Layout {
  /** Layers beside each other; otherwise from top to bottom. */
  wide: boolean;
  width: number;
  height: number;
  pad: Box;
  examples: Box;
  input: Block;
  /** Left of each picture its filter; `null` where there is no room for them. */
  filters: Block | null;
  pictures1: Block;
  pictures2: Block;
  units: Block;
  scores: Box;
}

/** From this width on the layers stand beside each other. */
const WIDE = 1024;
/** Heights of a heading above a layer, and of the row of examples. */
const HEADING = 36;
const EXAMPLES = 26;
const NARROW_SCORES = 340;

/** Sizes of a wide stage. */
interface Sizes {
  input: number;
  pad: number;
  filter: number;
  picture1: number;
  step1: number;
  picture2: number;
  step2: number;
  unit: readonly [number, number];
  scores: number;
}

const NORMAL: Sizes = {
  input: 7,
  pad: 182,
  filter: 30,
  picture1: 42,
  step1: 52,
  picture2: 35,
  step2: 46,
  unit: [13, 25],
  scores: 304,
};
/** On screens that are wide and high. */
const LARGE: Sizes = {
  input: 10,
  pad: 270,
  filter: 40,
  picture1: 56,
  step1: 75,
  picture2: 49,
  step2: 66,
  unit: [18, 36],
  scores: 360,
};

/** How many numbers stand side by side in the pictures of the two layers. */
export interface Shown {
  side1: number;
  side2: number;
  filterSize: number;
  count1: number;
  count2: number;
  units: number;
}

/** What a network shows; `sums` instead of what pooling and ReLU make of them. */
export function shownOf({ conv1, conv2, shapes }: State, sums: boolean): Shown {
  return {
    side1: sums ? conv1.outputSize : conv1.pooledSize,
    side2: sums ? conv2.outputSize : conv2.pooledSize,
    filterSize: conv1.filterSize,
    count1: conv1.numFilters,
    count2: conv2.numFilters,
    units: shapes.fc1[0],
  };
}

/** Lay the network out for a stage of this width; `high` says that there is room for the large sizes. */
export function layOut(width: number, high: boolean, shown: Shown): Layout {
  return width >= WIDE
    ? wideLayout(width, width >= 1480 && high ? LARGE : NORMAL, shown)
    : narrowLayout(width, shown);
}

function wideLayout(width: number, sizes: Sizes, shown: Shown): Layout {
  const columns1 = Math.ceil(shown.count1 / 8);
  const columns2 = Math.ceil(shown.count2 / 9);
  const unitColumns = Math.ceil(shown.units / 16);
  // Twice as many pictures as in the book: half as large, so that they take the same room.
  const shrink1 = columns1 > 2 ? 2 / 3 : 1;
  const shrink2 = columns2 > 4 ? 3 / 5 : 1;
  const picture1 = sizes.picture1 * shrink1;
  const filter = Math.floor((sizes.filter * shrink1) / shown.filterSize);
  const pair = shown.filterSize * filter + 8 + picture1;
  const gap1 = columns1 > 2 ? 6 : 16;
  const picture2 = sizes.picture2 * shrink2;
  const step2 = picture2 + (columns2 > 4 ? 4 : 11);
  const widths = [
    28 * sizes.input,
    columns1 * (pair + gap1) - gap1,
    columns2 * step2 - (step2 - picture2),
    unitColumns * sizes.unit[0],
    sizes.scores,
  ];
  const free = width - widths.reduce((sum, one) => sum + one, 0);
  const lefts: number[] = [];
  widths.reduce((left, one) => {
    lefts.push(Math.round(left));
    return left + one + Math.max(free / 4, 8);
  }, 0);
  const inputTop = HEADING - 12 + sizes.pad + 4 + EXAMPLES + 20;
  return {
    wide: true,
    width,
    height: inputTop + 28 * sizes.input + 4,
    pad: { left: lefts[0], top: HEADING - 12, width: 28 * sizes.input, height: sizes.pad },
    examples: {
      left: lefts[0],
      top: HEADING - 12 + sizes.pad + 4,
      width: 28 * sizes.input,
      height: EXAMPLES,
    },
    input: block(lefts[0], inputTop, 1, [sizes.input, sizes.input], [0, 0]),
    filters: block(
      lefts[1],
      HEADING + Math.round((picture1 - shown.filterSize * filter) / 2),
      columns1,
      [filter, filter],
      [pair + gap1, sizes.step1],
    ),
    pictures1: block(
      lefts[1] + pair - picture1,
      HEADING,
      columns1,
      [picture1 / shown.side1, picture1 / shown.side1],
      [pair + gap1, sizes.step1],
    ),
    pictures2: block(
      lefts[2],
      HEADING,
      columns2,
      [picture2 / shown.side2, picture2 / shown.side2],
      [step2, sizes.step2],
    ),
    units: block(lefts[3], HEADING, unitColumns, unitCell(sizes.unit), sizes.unit),
    scores: {
      left: lefts[4],
      top: 0,
      width: sizes.scores,
      height: inputTop + 28 * sizes.input,
    },
  };
}

const unitCell = ([width, height]: readonly [number, number]): readonly [number, number] => [
  width - 1,
  height - 1,
];

function narrowLayout(width: number, shown: Shown): Layout {
  const gap = 2;
  const input = Math.min(8, Math.max(3, Math.floor((0.38 * width) / 28)));
  const pad = Math.min(320, width - 28 * input - 10);
  const examplesTop = HEADING + pad + 6;
  const columns1 = Math.min(8, shown.count1);
  const columns2 = Math.min(12, shown.count2);
  // A number of the finished pictures has whole pixels; sums are twice as many.
  const fit = (columns: number, numbers: number, most: number): number =>
    Math.min(most, Math.max(1, Math.floor((width - (columns - 1) * gap) / columns / numbers)));
  const picture1 = 14 * fit(columns1, 14, 4);
  const picture2 = 7 * fit(columns2, 7, 6);
  const step1 = picture1 + gap;
  const step2 = picture2 + gap;
  const unit = Math.min(20, Math.floor(width / 32));
  const centred = (columns: number, step: number): number =>
    Math.max(0, Math.round((width - columns * step) / 2));
  const top1 = examplesTop + 30 + HEADING;
  const top2 = top1 + Math.ceil(shown.count1 / columns1) * step1 + HEADING + 14;
  const top3 = top2 + Math.ceil(shown.count2 / columns2) * step2 + HEADING + 14;
  const scores = top3 + Math.ceil(shown.units / 32) * unit + 24;
  const square = (size: number): readonly [number, number] => [size, size];
  return {
    wide: false,
    width,
    height: scores + NARROW_SCORES,
    pad: { left: 0, top: HEADING, width: pad, height: pad },
    examples: { left: 0, top: examplesTop, width, height: EXAMPLES },
    input: block(width - 28 * input, HEADING, 1, [input, input], [0, 0]),
    filters: null,
    pictures1: block(
      centred(columns1, step1),
      top1,
      columns1,
      square(picture1 / shown.side1),
      square(step1),
    ),
    pictures2: block(
      centred(columns2, step2),
      top2,
      columns2,
      square(picture2 / shown.side2),
      square(step2),
    ),
    units: block(centred(32, unit), top3, 32, unitCell(square(unit)), square(unit)),
    scores: { left: 0, top: scores, width, height: NARROW_SCORES },
  };
}

function block(
  left: number,
  top: number,
  columns: number,
  cell: readonly [number, number],
  step: readonly [number, number],
): Block {
  return { left, top, columns, cell, step };
}
