/**
 * A layer as pictures on one canvas, in which every number can be pointed at, by mouse, finger or
 * keyboard.
 *
 * For screen readers it is a grid, of which only the cell with the focus exists at any time: focus
 * moves between two elements that take turns, so that each arrival is announced. The Tab key stops
 * once in each grid.
 */

import type { Scale } from "./colours.ts";
import { ARROWS, element, isShortcut, newId, setAttribute } from "./dom.ts";
import type { Block, Box } from "./layout.ts";

/** How many pictures, and how large. Values are `[height][width][count]`, row-major. */
export interface TileShape {
  height: number;
  width: number;
  count: number;
}

/** A rectangle in one of the pictures, in numbers; what lies outside is cut. */
export interface Mark {
  map: number;
  row: number;
  column: number;
  height: number;
  width: number;
  /** The chosen number itself, the second of two frames, what a choice moves, a changed pixel. */
  kind?: "own" | "dashed" | "moved" | "changed";
}

export interface TilesOptions {
  label: string;
  /** Choose whole pictures, not single numbers. */
  whole?: boolean;
  /** Only to be looked at: what it shows is said elsewhere. */
  passive?: boolean;
  /** Words for what is pointed at: a value's index, or a picture's if `whole`. */
  describe?: (index: number) => string;
  /** `enter`: by Enter or Space, so that the focus may go on to what was chosen. */
  onchoose?: (index: number, enter: boolean) => void;
  onhover?: (index: number | null) => void;
}

export class Tiles {
  readonly root: HTMLElement;
  private readonly canvas = element("canvas", { class: "lab-pixels", "aria-hidden": "true" });
  private readonly context = this.canvas.getContext("2d")!;
  private readonly cursors: HTMLElement[];
  private readonly marks = element("div", { class: "lab-marks", "aria-hidden": "true" });
  private active = 0;
  private shape: TileShape = { height: 1, width: 1, count: 1 };
  private block: Block = { left: 0, top: 0, columns: 1, cell: [1, 1], step: [1, 1] };
  /** Pixels of the canvas in a CSS pixel: as many as make every number's edges whole. */
  private fine = 1;
  private image = new ImageData(1, 1);
  private words = new Uint32Array(this.image.data.buffer);
  private values: Float32Array | null = null;
  private scale: Scale | null = null;
  private current = 0;
  private chosen: number | null = null;
  private marked: readonly Mark[] = [];

  constructor(private readonly options: TilesOptions) {
    this.cursors = [0, 1].map(() =>
      element("div", { role: "gridcell", class: "lab-cursor", tabindex: -1 }),
    );
    const rows = this.cursors.map((cursor) => element("div", { role: "row" }, cursor));
    this.root = element(
      "div",
      { role: "grid", class: "lab-tiles", id: newId("tiles"), "aria-label": options.label },
      this.canvas,
      this.marks,
      ...rows,
    );
    if (options.passive) {
      for (const name of ["role", "aria-label"]) this.root.removeAttribute(name);
      rows.forEach((row) => row.remove());
      this.root.classList.add("lab-passive");
    } else this.listen();
  }

  private listen(): void {
    const { options } = this;
    this.canvas.addEventListener("click", (event) => {
      const index = this.indexAt(event);
      if (index === null) return;
      this.moveTo(index, true);
      options.onchoose?.(index, false);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "mouse") options.onhover?.(this.indexAt(event));
    });
    this.canvas.addEventListener("pointerleave", () => options.onhover?.(null));
    this.root.addEventListener("keydown", (event) => this.key(event));
  }

  /** Say how many pictures there are, how large, and where they stand. */
  arrange(shape: TileShape, block: Block): void {
    const known = JSON.stringify([this.shape, this.block]);
    if (known === JSON.stringify([shape, block])) return;
    if (JSON.stringify(shape) !== JSON.stringify(this.shape)) {
      this.values = null;
      this.chosen = null;
      this.current = 0;
    }
    this.shape = shape;
    this.block = block;
    const [cellX, cellY] = block.cell;
    this.fine = Number.isInteger(cellX) && Number.isInteger(cellY) ? 1 : 2;
    const numRows = Math.ceil(shape.count / block.columns);
    const width = (block.columns - 1) * block.step[0] + shape.width * cellX;
    const height = (numRows - 1) * block.step[1] + shape.height * cellY;
    Object.assign(this.root.style, {
      left: `${block.left}px`,
      top: `${block.top}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    this.canvas.width = Math.round(width * this.fine);
    this.canvas.height = Math.round(height * this.fine);
    this.image = new ImageData(this.canvas.width, this.canvas.height);
    this.words = new Uint32Array(this.image.data.buffer);
    if (!this.options.passive) {
      const perMap = this.options.whole ? [1, 1] : [shape.height, shape.width];
      setAttribute(this.root, "aria-rowcount", numRows * perMap[0]);
      setAttribute(this.root, "aria-colcount", block.columns * perMap[1]);
    }
    if (this.values && this.scale) this.draw(this.values, this.scale);
    this.placeCursors();
    this.mark(this.marked);
  }

  /** Draw the values, `[height][width][count]`. */
  draw(values: Float32Array, scale: Scale): void {
    this.values = values;
    this.scale = scale;
    const { height, width, count } = this.shape;
    if (values.length !== height * width * count) return;
    const { words, fine } = this;
    const across = this.canvas.width;
    const factor = 255 / (scale.high - scale.low);
    const [sizeX, sizeY] = this.block.cell.map((side) => Math.round(side * fine));
    const line = new Uint32Array(width * sizeX);
    for (let map = 0; map < count; map += 1) {
      const [left, top] = this.corner(map).map((side) => Math.round(side * fine));
      for (let row = 0; row < height; row += 1) {
        for (let column = 0; column < width; column += 1) {
          const value = values[(row * width + column) * count + map];
          const step = (value - scale.low) * factor + 0.5;
          const colour = scale.map[step > 0 ? (step < 255 ? step | 0 : 255) : 0];
          line.fill(colour, column * sizeX, (column + 1) * sizeX);
        }
        for (let y = 0; y < sizeY; y += 1) words.set(line, (top + row * sizeY + y) * across + left);
      }
    }
    this.context.putImageData(this.image, 0, 0);
  }

  /** Where a rectangle of a picture stands on the stage. */
  box(mark: Mark): Box {
    const [left, top] = this.corner(mark.map);
    const [cellX, cellY] = this.block.cell;
    const clip = (from: number, length: number, most: number): [number, number] => {
      const start = Math.min(Math.max(from, 0), most);
      return [start, Math.min(Math.max(from + length, 0), most) - start];
    };
    const [x, width] = clip(mark.column, mark.width, this.shape.width);
    const [y, height] = clip(mark.row, mark.height, this.shape.height);
    return {
      left: this.block.left + left + x * cellX,
      top: this.block.top + top + y * cellY,
      width: width * cellX,
      height: height * cellY,
    };
  }

  /** Outline a number (or a picture) as the chosen one. */
  choose(index: number | null): void {
    this.chosen = index;
    if (index !== null && index !== this.current)
      this.moveTo(index, this.root.contains(document.activeElement));
    this.placeCursors();
  }

  /** Outline rectangles, in place of those before. */
  mark(marks: readonly Mark[]): void {
    this.marked = marks;
    const visible = marks.filter(({ map }) => map < this.shape.count);
    while (this.marks.children.length < visible.length)
      this.marks.append(element("div", { class: "lab-mark" }));
    for (const [i, child] of Array.from(this.marks.children).entries()) {
      const mark = visible[i];
      setAttribute(child, "hidden", !mark);
      if (!mark) continue;
      const box = this.box(mark);
      setAttribute(child, "data-kind", mark.kind);
      place(child as HTMLElement, box, this.block);
    }
  }

  focus(): void {
    this.cursors[this.active].focus();
  }

  private get numChoices(): number {
    const { height, width, count } = this.shape;
    return this.options.whole ? count : height * width * count;
  }

  /** Column and row of a picture's first pixel in the block. */
  private corner(map: number): [number, number] {
    const { columns, step } = this.block;
    return [(map % columns) * step[0], Math.floor(map / columns) * step[1]];
  }

  /** A choice as map, row and column (row and column 0 for whole pictures). */
  private split(index: number): [number, number, number] {
    const { count, width } = this.shape;
    if (this.options.whole) return [index, 0, 0];
    const at = Math.floor(index / count);
    return [index % count, Math.floor(at / width), at % width];
  }

  private indexAt(event: MouseEvent): number | null {
    const box = this.canvas.getBoundingClientRect();
    const { height, width, count } = this.shape;
    const { columns, step, cell } = this.block;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const across = columns > 1 ? Math.floor(x / step[0]) : 0;
    const down = count > columns ? Math.floor(y / step[1]) : 0;
    const map = down * columns + across;
    const column = Math.floor((x - across * step[0]) / cell[0]);
    const row = Math.floor((y - down * step[1]) / cell[1]);
    const isInside = row >= 0 && column >= 0 && row < height && column < width;
    if (!isInside || across >= columns || map >= count) return null;
    return this.options.whole ? map : (row * width + column) * count + map;
  }

  /** The choice reached by moving over the canvas, numbers of neighbouring pictures included. */
  private moved(rows: number, columns: number): number | null {
    const { height, width, count } = this.shape;
    const [stepY, stepX] = this.options.whole ? [1, 1] : [height, width];
    const [map, row, column] = this.split(this.current);
    const y = Math.floor(map / this.block.columns) * stepY + row + rows;
    const x = (map % this.block.columns) * stepX + column + columns;
    if (x < 0 || y < 0 || x >= this.block.columns * stepX) return null;
    const next = Math.floor(y / stepY) * this.block.columns + Math.floor(x / stepX);
    if (next >= count) return null;
    return this.options.whole ? next : ((y % stepY) * width + (x % stepX)) * count + next;
  }

  private key(event: KeyboardEvent): void {
    if (isShortcut(event)) return;
    const { count } = this.shape;
    const whole = this.options.whole ?? false;
    const step = event.shiftKey ? 5 : 1;
    const sameInMap = (by: number): number | null => {
      const map = (this.current % count) + by;
      return map < 0 || map >= count ? null : this.current + by;
    };
    const arrow = ARROWS[event.key];
    let next: number | null;
    if (arrow) next = this.moved(arrow[1] * step, arrow[0] * step);
    else {
      switch (event.key) {
        case "PageUp":
          next = whole ? this.moved(-1, 0) : sameInMap(-1);
          break;
        case "PageDown":
          next = whole ? this.moved(1, 0) : sameInMap(1);
          break;
        case "Home":
          next = 0;
          break;
        case "End":
          next = this.numChoices - 1;
          break;
        case "Enter":
        case " ":
          next = this.current;
          break;
        default:
          return;
      }
    }
    event.preventDefault();
    if (next === null) return;
    this.moveTo(next, true);
    this.options.onchoose?.(next, event.key === "Enter" || event.key === " ");
  }

  private moveTo(index: number, focus: boolean): void {
    if (index !== this.current) {
      this.current = index;
      this.active = 1 - this.active;
    }
    this.placeCursors();
    if (focus) this.cursors[this.active].focus();
  }

  /** Both cursors stand where the current choice is or was; only the active one can be reached. */
  private placeCursors(): void {
    if (this.options.passive) return;
    const [map, row, column] = this.split(this.current);
    const whole = this.options.whole ?? false;
    const { height, width } = this.shape;
    const cursor = this.cursors[this.active];
    const resting = this.cursors[1 - this.active];
    const size = whole ? { height, width } : { height: 1, width: 1 };
    place(cursor, this.box({ map, row, column, ...size }), this.block);
    const [stepY, stepX] = whole ? [1, 1] : [height, width];
    const down = Math.floor(map / this.block.columns) * stepY + row;
    setAttribute(cursor.parentElement!, "aria-rowindex", down + 1);
    setAttribute(cursor, "aria-colindex", (map % this.block.columns) * stepX + column + 1);
    setAttribute(cursor, "tabindex", 0);
    setAttribute(cursor, "aria-selected", this.chosen === this.current ? "true" : "false");
    cursor.classList.toggle("lab-chosen", this.chosen === this.current);
    setAttribute(resting, "tabindex", -1);
    cursor.parentElement!.hidden = false;
    // Hidden only once the focus has left it, or the focus would be lost on the way.
    queueMicrotask(() => {
      const isActive = resting === this.cursors[this.active];
      resting.parentElement!.hidden = !isActive && document.activeElement !== resting;
    });
    this.describe();
  }

  /** Rewrite what the current choice is: its value may have changed. */
  describe(): void {
    if (this.numChoices <= this.current || !this.options.describe) return;
    setAttribute(this.cursors[this.active], "aria-label", this.options.describe(this.current));
  }
}

/** Put an element over a rectangle of the stage, in a parent that stands at the block's place. */
function place(target: HTMLElement, box: Box, { left, top }: Block): void {
  target.style.left = `${box.left - left}px`;
  target.style.top = `${box.top - top}px`;
  target.style.width = `${box.width}px`;
  target.style.height = `${box.height}px`;
}
