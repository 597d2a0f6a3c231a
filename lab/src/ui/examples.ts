/**
 * Ten digits to begin with, drawn for this page: each stroke a few points that a smooth line
 * passes through.
 */

import type { Stroke } from "./centre.ts";
import { button, element, svgElement } from "./dom.ts";

type Point = [number, number];

// A line for each digit.
// prettier-ignore
const POINTS: Point[][][] = [
  [[[130, 40], [94, 68], [80, 128], [95, 186], [130, 212], [165, 184], [178, 126], [164, 70], [128, 42]]],
  [[[102, 82], [138, 42]], [[138, 42], [135, 130], [132, 212]]],
  [[[84, 86], [98, 54], [134, 42], [164, 64], [158, 108], [124, 156], [80, 206]], [[80, 206], [130, 201], [180, 207]]],
  [[[86, 62], [124, 40], [160, 62], [150, 100], [112, 120]], [[112, 120], [156, 130], [172, 168], [146, 206], [104, 212], [78, 190]]],
  [[[112, 44], [96, 98], [76, 148]], [[76, 148], [130, 145], [186, 142]], [[152, 62], [147, 130], [143, 214]]],
  [[[170, 46], [102, 48]], [[102, 48], [94, 112]], [[94, 112], [134, 102], [170, 130], [164, 182], [124, 210], [80, 198]]],
  [[[152, 42], [112, 84], [88, 146], [96, 196], [134, 213], [166, 186], [158, 148], [124, 138], [94, 164]]],
  [[[76, 58], [130, 55], [180, 52]], [[180, 52], [142, 130], [116, 214]]],
  [[[162, 66], [126, 42], [94, 68], [120, 114], [158, 156], [150, 204], [110, 212], [88, 174], [124, 122], [160, 90], [162, 66]]],
  [[[164, 84], [132, 46], [94, 70], [92, 114], [126, 132], [162, 104], [167, 72]], [[167, 72], [160, 150], [144, 214]]],
];

/** Points on the smooth line through the given ones (a Catmull-Rom spline). */
function smooth(points: Point[]): Stroke {
  const stroke: Stroke = [];
  const at = (index: number): Point => points[Math.min(Math.max(index, 0), points.length - 1)];
  for (let index = 0; index + 1 < points.length; index += 1) {
    const [before, from, to, after] = [at(index - 1), at(index), at(index + 1), at(index + 2)];
    const pieces = Math.max(2, Math.round(Math.hypot(to[0] - from[0], to[1] - from[1]) / 8));
    for (let piece = 0; piece < pieces; piece += 1) {
      const t = piece / pieces;
      for (const axis of [0, 1] as const) {
        const [p0, p1, p2, p3] = [before[axis], from[axis], to[axis], after[axis]];
        const square = 2 * p0 - 5 * p1 + 4 * p2 - p3;
        const cube = 3 * (p1 - p2) + p3 - p0;
        const value = p1 + 0.5 * t * (p2 - p0 + t * (square + t * cube));
        stroke.push(Math.round(value));
      }
    }
  }
  stroke.push(...at(points.length - 1));
  return stroke;
}

/** The strokes of each of the ten examples; number `i` is an example of the digit `i`. */
export const EXAMPLES: readonly (readonly Stroke[])[] = POINTS.map((strokes) =>
  strokes.map(smooth),
);

/** A button with a picture for each example. */
export function exampleButtons(choose: (strokes: readonly Stroke[]) => void): HTMLElement {
  const examples = element("div", {
    class: "lab-examples",
    role: "group",
    "aria-label": "Examples",
  });
  EXAMPLES.forEach((strokes, digit) => {
    const example = button("", () => choose(strokes), "lab-example");
    example.setAttribute("aria-label", `Example of the digit ${digit}`);
    example.append(thumbnail(strokes));
    examples.append(example);
  });
  return examples;
}

/** A small picture of some strokes. */
function thumbnail(strokes: readonly Stroke[]): SVGElement {
  const svg = svgElement("svg", { viewBox: "40 10 176 236", "aria-hidden": "true" });
  for (const stroke of strokes) svg.append(svgElement("polyline", { points: stroke.join(" ") }));
  return svg;
}
