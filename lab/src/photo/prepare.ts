/**
 * From a photograph of one handwritten digit to the 784 numbers that the network sees: what
 * `mnist_helpers/handwriting.py` does in the chapters, step by step and with the same numbers.
 *
 * The picture is made grey, evenly lit and, where the paper is brighter than the ink, inverted;
 * specks and ruled lines go; the digit is fitted into 20×20 pixels and centred by its mass.
 */

import { LabError } from "../errors.ts";
import { centre } from "../ui/centre.ts";
import { marksOf, oneDigit, sizeOf } from "./marks.ts";
import * as raster from "./raster.ts";
import { mask, numbers, quantiles, roundEven, type Mask, type Numbers } from "./raster.ts";
import { ruledLines } from "./rules.ts";

/** A larger picture is reduced until its longer side has at most this many pixels. */
const WORKING_SIZE = 1024;
const MIN_DIGIT = 10;
/** The least share of the paper's light that ink must take. Pencil takes about a third. */
const MIN_CONTRAST = 0.15;
/** Strokes must be narrower than this share of the picture's shorter side. */
const WIDEST_STROKE = 0.25;
/** The strokes of an 8 are about 3.5 times as long as it is high. */
const LONGEST_STROKES = 12;
const BOX_SIZE = 20;
const RETAKE = "Photograph one digit on plain paper, in good light and close up.";

/** Decoded pixels: red, green, blue and opacity of each, 0 to 255, as `ImageData` holds them. */
export interface Pixels {
  height: number;
  width: number;
  data: Uint8ClampedArray;
}

/** What becomes of a photograph. */
export interface Photograph {
  /** Brightness, 0 to 1. */
  grey: Numbers;
  /** How much light the ink takes, 0 to 1; the digit alone. */
  ink: Numbers;
  /** `[28][28]`, 0 paper to 1 ink. */
  image: Float32Array;
}

/** @throws {LabError} "invalid" where no single digit stands out; the message says what to do. */
export function prepare(pixels: Pixels): Photograph {
  const grey = greyOf(pixels);
  const ink = onlyDigit(contrastOf(grey));
  return { grey, ink, image: centre(ink.values, ink.height, ink.width) };
}

function refuse(message: string): LabError {
  return new LabError("invalid", message);
}

/** The picture with four channels `[height][width][4]` in 0..1, reduced to the working size. */
function reduced({ height, width, data }: Pixels): Numbers[] {
  if (Math.max(height, width) < MIN_DIGIT)
    throw refuse(`The picture has only ${width}×${height} pixels: use a larger one.`);
  const factor = Math.ceil(Math.max(height, width) / WORKING_SIZE);
  const [rows, columns] = [Math.floor(height / factor), Math.floor(width / factor)];
  return [0, 1, 2, 3].map((channel) => {
    const result = numbers(rows, columns);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        let sum = 0;
        for (let y = row * factor; y < (row + 1) * factor; y += 1)
          for (let x = column * factor; x < (column + 1) * factor; x += 1)
            sum += data[4 * (y * width + x) + channel];
        result.values[row * columns + column] = Math.fround(sum / factor ** 2) / 255;
      }
    }
    return result;
  });
}

/** Brightness; what is transparent becomes paper. */
function greyOf(pixels: Pixels): Numbers {
  const [red, green, blue, opaque] = reduced(pixels);
  const grey = numbers(red.height, red.width);
  const seen: number[] = [];
  // As ITU-R BT.601 weighs red, green and blue.
  grey.values.forEach((_, at) => {
    grey.values[at] = 0.299 * red.values[at] + 0.587 * green.values[at] + 0.114 * blue.values[at];
    if (opaque.values[at] > 0.5) seen.push(grey.values[at]);
  });
  if (seen.length === 0) {
    grey.values.fill(1);
    return grey;
  }
  // Where most is opaque, most of that is paper. Otherwise there is only ink.
  const mean = seen.reduce((sum, one) => sum + one, 0) / seen.length;
  const most = seen.length > grey.values.length / 2;
  const paper = most ? quantiles(Float32Array.from(seen), 0.5)[0] : Number(mean < 0.5);
  grey.values.forEach((value, at) => {
    const share = opaque.values[at];
    grey.values[at] = value * share + paper * (1 - share);
  });
  return grey;
}

/**
 * How much light the ink takes from the paper: 0 where there is none.
 *
 * The paper's own light is what a morphological closing leaves: strokes are narrower than its
 * square and vanish; shadows are wider and stay.
 */
function contrastOf(seen: Numbers): Numbers {
  const side = Math.min(seen.height, seen.width);
  const around = raster.meanAround(seen, Math.floor(side / 4));
  // Ink is the smaller part and differs more from its surroundings.
  const skew = seen.values.reduce((sum, value, at) => sum + (value - around[at]) ** 3, 0);
  const grey = skew > 0 ? { ...seen, values: seen.values.map((value) => 1 - value) } : seen;
  const paper = raster.closing(grey, Math.max(2, roundEven((side * WIDEST_STROKE) / 2)));
  const brightest = paper.values.reduce((most, value) => Math.max(most, value), 0);
  const least = Math.fround(Math.max(brightest / 2, 1e-6));
  const contrast = numbers(grey.height, grey.width);
  contrast.values.forEach((_, at) => {
    const taken = Math.fround(paper.values[at] - grey.values[at]);
    contrast.values[at] = taken / Math.max(paper.values[at], least);
  });
  return contrast;
}

/**
 * Mean and standard deviation of the paper's own contrast, 0 and 0 for a drawing: from the
 * quarter of all pixels with the least, which is surely paper. In a normal distribution the
 * quantiles 0.05 and 0.25 lie 1.645 and 0.674 deviations below the mean.
 */
function paperLevel({ values }: Numbers): { level: number; noise: number } {
  const [low, quarter] = quantiles(values, 0.05, 0.25);
  const noise = (quarter - low) / (1.645 - 0.674);
  return { level: quarter + 0.674 * noise, noise };
}

/** The ink of the digit alone, 0 to 1, all else 0. */
function onlyDigit(contrast: Numbers): Numbers {
  const { height, width, values } = contrast;
  const { level, noise } = paperLevel(contrast);
  const threshold = Math.fround(level + Math.max(5 * noise, MIN_CONTRAST / 2));
  const stands: Mask = {
    height,
    width,
    values: Uint8Array.from(values, (one) => (one > threshold ? 1 : 0)),
  };
  const rules = ruledLines(stands);
  const free = { ...stands, values: stands.values.map((is, at) => is & (1 - rules.values[at])) };
  const { labels, count } = raster.pieces(free);
  const marks = marksOf(labels, count, height, width);
  if (marks.length === 0)
    throw refuse(`No digit found: nothing stands out from the paper. ${RETAKE}`);
  const { digit, rivals } = oneDigit(marks);
  if (rivals > 0)
    throw refuse(
      `Found ${rivals + 1} separate large marks instead of one digit: crop the picture to one digit with paper all round it.`,
    );
  const own = new Set(digit.map(({ label }) => label));
  const inked = { ...mask(height, width), values: Uint8Array.from(labels, (l) => +own.has(l)) };
  const size = sizeOf(...digit);
  const [full] = quantiles(
    values.filter((_, at) => inked.values[at]),
    0.9,
  );
  const outline = outlineOf(inked);
  refuseUnclear(full - level, size, outline);
  const ink = numbers(height, width);
  // The rims of the strokes are fainter than the threshold.
  const near = nearInk(inked, 2 * Math.max(2, Math.floor(size / BOX_SIZE)) + 1);
  const least = level + 2 * noise;
  const range = Math.fround(full - least);
  ink.values.forEach((_, at) => {
    const isOther = labels[at] > 0 && !inked.values[at];
    if (!near[at] || rules.values[at] || isOther) return;
    ink.values[at] = Math.min(Math.max(Math.fround(values[at] - Math.fround(least)) / range, 0), 1);
  });
  // A stroke has two sides, so half the outline is as long as the strokes are.
  const area = inked.values.reduce((sum, is) => sum + is, 0);
  return thicker(ink, Math.max(roundEven(size / BOX_SIZE - area / (outline / 2)), 0));
}

/** How often ink and paper lie beside or below each other. */
function outlineOf({ height, width, values }: Mask): number {
  let outline = 0;
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const at = row * width + column;
      if (row > 0 && values[at] !== values[at - width]) outline += 1;
      if (column > 0 && values[at] !== values[at - 1]) outline += 1;
    }
  }
  return outline;
}

function nearInk({ height, width, values }: Mask, reach: number): Float32Array {
  return raster.largestAround({ height, width, values: Float32Array.from(values) }, reach).values;
}

/** Refuse what is too faint, too small or too ragged to be a digit. */
function refuseUnclear(contrast: number, size: number, outline: number): void {
  const percent = (share: number): string => `${Math.round(100 * share)}%`;
  if (contrast < MIN_CONTRAST)
    throw refuse(
      `No digit found: the darkest mark absorbs only ${percent(contrast)} of the paper’s light, and at least ${percent(MIN_CONTRAST)} is needed. Use a darker pen or more light.`,
    );
  if (size < MIN_DIGIT)
    throw refuse(
      `The largest mark is only ${size} pixels across, too small for a digit: crop the picture or move closer.`,
    );
  if (outline / 2 > LONGEST_STROKES * size)
    throw refuse(`No digit found: the marks are too ragged to be strokes. ${RETAKE}`);
}

/** Strokes made wider by this many pixels; the picture grows to hold them. */
function thicker(ink: Numbers, pixels: number): Numbers {
  if (pixels === 0) return ink;
  const { height, width, values } = ink;
  const grown = numbers(height + 2 * pixels, width + 2 * pixels);
  for (let row = 0; row < height; row += 1)
    grown.values.set(
      values.subarray(row * width, (row + 1) * width),
      (row + pixels) * grown.width + pixels,
    );
  return raster.largestAround(grown, pixels + 1);
}
