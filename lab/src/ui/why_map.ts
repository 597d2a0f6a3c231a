/** One map over the drawing, in which every number can be pointed at. */

import type { Scale } from "./colours.ts";
import { IMAGE_SIZE } from "./centre.ts";
import { element, setAttribute, setText, svgElement } from "./dom.ts";
import { Legend } from "./legend.ts";
import { Tiles } from "./tiles.ts";

/** Width and height of a map, in pixels of the page; the style gives its frame the same. */
const SIDE = 140;

export class WhyMap {
  readonly root: HTMLElement;
  private readonly tiles: Tiles;
  private readonly legend = new Legend();
  private readonly caption = element("figcaption", {});
  private readonly outlines = ["lab-outline-rim", "lab-outline"].map((kind) =>
    svgElement("path", { class: kind }),
  );

  /**
   * @param meaning What its numbers are.
   * @param describe Puts a number into words.
   * @param point A number is pointed at, or none any longer ("").
   */
  constructor(
    title: string,
    private readonly meaning: string,
    describe: (index: number) => string,
    point: (words: string) => void,
  ) {
    const show = (index: number | null): void => point(index === null ? "" : describe(index));
    this.tiles = new Tiles({ label: title, describe, onchoose: show, onhover: show });
    const drawing = svgElement("svg", {
      viewBox: `0 0 ${IMAGE_SIZE} ${IMAGE_SIZE}`,
      "aria-hidden": "true",
    });
    drawing.append(...this.outlines);
    this.root = element(
      "figure",
      { class: "lab-map" },
      element("strong", {}, title),
      element("div", { class: "lab-map-frame" }, this.tiles.root, drawing),
      this.legend.root,
      this.caption,
    );
    this.progress("");
  }

  /** Say how far it is; "" once it is all there. */
  progress(words: string): void {
    setText(this.caption, words || this.meaning);
  }

  /** @param values A square of numbers. */
  draw(values: Float32Array, scale: Scale): void {
    const length = Math.sqrt(values.length);
    const cell = [SIDE / length, SIDE / length] as const;
    this.tiles.arrange(
      { height: length, width: length, count: 1 },
      { left: 0, top: 0, columns: 1, cell, step: [0, 0] },
    );
    this.tiles.draw(values, scale);
    this.legend.update(scale);
    this.tiles.describe();
  }

  /** Draw the ink's outline over the map. */
  outline(path: string): void {
    for (const line of this.outlines) setAttribute(line, "d", path);
  }
}

/** The edges of all pixels where ink and paper meet, as a path. */
export function outlineOf(image: Float32Array): string {
  const isInk = (row: number, column: number): boolean =>
    column >= 0 && column < IMAGE_SIZE && image[row * IMAGE_SIZE + column] > 0.5;
  let path = "";
  for (let row = 0; row <= IMAGE_SIZE; row += 1) {
    for (let column = 0; column <= IMAGE_SIZE; column += 1) {
      const here = isInk(row, column);
      if (here !== isInk(row, column - 1)) path += `M${column} ${row}v1`;
      if (here !== isInk(row - 1, column)) path += `M${column} ${row}h1`;
    }
  }
  return path;
}
