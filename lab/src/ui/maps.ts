/**
 * Layers as pictures: one small picture for each channel, on one canvas, in which every
 * number can be pointed at, by mouse, finger or keyboard.
 *
 * The canvas has one pixel for each number and is enlarged by whole factors, so that drawing
 * is quick and every number is a square. For screen readers it is a grid, of which the
 * cell that has the focus is there at any time: focus moves between two elements that
 * take turns, so that each arrival is announced.
 */

import type { Scale } from "./colours.ts";
import { ARROWS, element, isShortcut, newId, setAttribute } from "./dom.ts";

/** Numbers between two pictures, in numbers. */
const GAP = 1;

/** How many pictures, and how large. Values are `[height][width][count]`, row-major. */
export interface MapShape {
  height: number;
  width: number;
  count: number;
}

export interface MapsOptions {
  label: string;
  /** Ids of elements that describe it. */
  describedBy?: string;
  /** Choose whole pictures, not single numbers. */
  whole?: boolean;
  /** Only to be looked at: what it shows is said elsewhere. */
  passive?: boolean;
  /** Sides of a number's square in CSS pixels: at least (if the width allows), and at most. */
  zoom: readonly [number, number];
  /** How many pictures may stand in a row, largest first; by default whatever divides their number. */
  columns?: (shape: MapShape) => number[];
  /** Which picture stands at a position; by default they follow each other. */
  mapAt?: (position: number, columns: number, shape: MapShape) => number;
  /** Words for what is pointed at: a value's index, or a picture's if `whole`. */
  describe?: (index: number) => string;
  /** `enter`: by Enter or Space, so that the focus may go on to what was chosen. */
  onchoose?: (index: number, enter: boolean) => void;
  onhover?: (index: number | null) => void;
}

/** A rectangle to be outlined in one of the pictures, in numbers; what lies outside is cut. */
export interface Mark {
  map: number;
  row: number;
  column: number;
  height: number;
  width: number;
}

/** All divisors, largest first. */
function divisors(value: number): number[] {
  return Array.from({ length: value }, (_, i) => value - i).filter((d) => value % d === 0);
}

export class Maps {
  readonly root: HTMLElement;
  private readonly grid: HTMLElement;
  private readonly canvas = element("canvas", { class: "lab-pixels", "aria-hidden": "true" });
  private readonly context = this.canvas.getContext("2d")!;
  private readonly cursors: HTMLElement[];
  private readonly marks = element("div", { class: "lab-marks", "aria-hidden": "true" });
  private active = 0;
  private shape: MapShape = { height: 1, width: 1, count: 1 };
  private columns = 1;
  private zoom = 1;
  private available = 0;
  private mapAtPosition = new Int32Array(1);
  private positionOfMap = new Int32Array(1);
  /** For each value, which pixel of the picture is its. */
  private pixels = new Int32Array(1);
  private image = new ImageData(1, 1);
  private words = new Uint32Array(this.image.data.buffer);
  private values: Float32Array | null = null;
  private scale: Scale | null = null;
  private current = 0;
  private chosen: number | null = null;
  private marked: Mark[] = [];

  constructor(private readonly options: MapsOptions) {
    this.cursors = [0, 1].map(() =>
      element("div", { role: "gridcell", class: "lab-cursor", tabindex: -1 }),
    );
    const rows = this.cursors.map((cursor) => element("div", { role: "row" }, cursor));
    this.grid = element(
      "div",
      {
        role: "grid",
        class: "lab-maps",
        id: newId("maps"),
        "aria-label": options.label,
        "aria-describedby": options.describedBy,
      },
      this.canvas,
      this.marks,
      ...rows,
    );
    this.root = element("div", { class: "lab-maps-frame" }, this.grid);
    if (options.passive) {
      for (const name of ["role", "aria-label"]) this.grid.removeAttribute(name);
      rows.forEach((row) => row.remove());
      this.grid.classList.add("lab-passive");
    } else this.listen();
    new ResizeObserver((entries) => {
      const width = Math.floor(entries[0].contentRect.width);
      if (width > 0 && width !== this.available) {
        this.available = width;
        // Not at once: it changes the sizes that are being observed, which browsers call an error.
        requestAnimationFrame(() => this.arrange());
      }
    }).observe(this.root);
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
    this.grid.addEventListener("keydown", (event) => this.key(event));
  }

  /** Say how many pictures there are, and how large. */
  setShape(shape: MapShape): void {
    const { height, width, count } = this.shape;
    if (height === shape.height && width === shape.width && count === shape.count) return;
    this.shape = shape;
    this.values = null;
    this.chosen = null;
    this.marked = [];
    this.current = 0;
    this.arrange();
  }

  /** Draw the values, `[height][width][count]`. */
  draw(values: Float32Array, scale: Scale): void {
    this.values = values;
    this.scale = scale;
    if (values.length !== this.pixels.length) return;
    const { words, pixels } = this;
    const { map, low, high } = scale;
    const factor = 255 / (high - low);
    for (let i = 0; i < values.length; i += 1) {
      const step = (values[i] - low) * factor + 0.5;
      words[pixels[i]] = map[step > 0 ? (step < 255 ? step | 0 : 255) : 0];
    }
    this.context.putImageData(this.image, 0, 0);
  }

  /** Outline a number (or a picture) as the chosen one. */
  choose(index: number | null): void {
    this.chosen = index;
    if (index !== null && index !== this.current) this.moveTo(index, this.hasFocus());
    this.placeCursors();
  }

  /** Outline rectangles, in place of those before. */
  mark(marks: Mark[]): void {
    this.marked = marks;
    this.placeMarks();
  }

  focus(): void {
    this.cursors[this.active].focus();
  }

  private hasFocus(): boolean {
    return this.grid.contains(document.activeElement);
  }

  private get numChoices(): number {
    const { height, width, count } = this.shape;
    return this.options.whole ? count : height * width * count;
  }

  private arrange(): void {
    const { shape, options } = this;
    const choices = options.columns?.(shape) ?? divisors(shape.count);
    const [least, most] = options.zoom;
    const zoomOf = (columns: number): number =>
      Math.floor((this.available || 320) / (columns * (shape.width + GAP) - GAP));
    this.columns = choices.find((columns) => zoomOf(columns) >= least) ?? choices.at(-1)!;
    this.zoom = Math.min(most, Math.max(1, zoomOf(this.columns)));

    const numRows = Math.ceil(shape.count / this.columns);
    const width = this.columns * (shape.width + GAP) - GAP;
    const height = numRows * (shape.height + GAP) - GAP;
    this.canvas.width = width;
    this.canvas.height = height;
    this.grid.style.width = `${width * this.zoom}px`;
    this.grid.style.height = `${height * this.zoom}px`;
    this.image = new ImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer);

    this.mapAtPosition = Int32Array.from(
      { length: shape.count },
      (_, position) => options.mapAt?.(position, this.columns, shape) ?? position,
    );
    this.positionOfMap = new Int32Array(shape.count);
    this.mapAtPosition.forEach((map, position) => (this.positionOfMap[map] = position));
    this.pixels = new Int32Array(shape.height * shape.width * shape.count);
    for (let map = 0, left = 0, top = 0; map < shape.count; map += 1) {
      [left, top] = this.corner(map);
      for (let row = 0; row < shape.height; row += 1) {
        for (let column = 0; column < shape.width; column += 1) {
          this.pixels[(row * shape.width + column) * shape.count + map] =
            (top + row) * width + left + column;
        }
      }
    }
    const perMap = options.whole ? [1, 1] : [shape.height, shape.width];
    if (!options.passive) {
      setAttribute(this.grid, "aria-rowcount", numRows * perMap[0]);
      setAttribute(this.grid, "aria-colcount", this.columns * perMap[1]);
    }
    if (this.values && this.scale) this.draw(this.values, this.scale);
    this.placeCursors();
    this.placeMarks();
  }

  /** Column and row of a picture's first number on the canvas. */
  private corner(map: number): [number, number] {
    const position = this.positionOfMap[map];
    return [
      (position % this.columns) * (this.shape.width + GAP),
      Math.floor(position / this.columns) * (this.shape.height + GAP),
    ];
  }

  /** A choice as map, row and column (row and column 0 for whole pictures). */
  private split(index: number): [number, number, number] {
    const { count, width } = this.shape;
    if (this.options.whole) return [index, 0, 0];
    const place = Math.floor(index / count);
    return [index % count, Math.floor(place / width), place % width];
  }

  private indexAt(event: MouseEvent): number | null {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.canvas.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.canvas.height);
    const { height, width, count } = this.shape;
    const [left, top] = [Math.floor(x / (width + GAP)), Math.floor(y / (height + GAP))];
    const [column, row] = [x - left * (width + GAP), y - top * (height + GAP)];
    const position = top * this.columns + left;
    if (x < 0 || y < 0 || left >= this.columns || position >= count) return null;
    const map = this.mapAtPosition[position];
    if (this.options.whole) return map;
    return column < width && row < height ? (row * width + column) * count + map : null;
  }

  /** The choice reached by moving over the canvas, numbers of neighbouring pictures included. */
  private moved(rows: number, columns: number): number | null {
    const { height, width, count } = this.shape;
    const [stepY, stepX] = this.options.whole ? [1, 1] : [height, width];
    const [map, row, column] = this.split(this.current);
    const position = this.positionOfMap[map];
    const y = Math.floor(position / this.columns) * stepY + row + rows;
    const x = (position % this.columns) * stepX + column + columns;
    if (x < 0 || y < 0 || x >= this.columns * stepX) return null;
    const reached = Math.floor(y / stepY) * this.columns + Math.floor(x / stepX);
    if (reached >= count) return null;
    const next = this.mapAtPosition[reached];
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
    if (focus) this.cursors[this.active].focus({ preventScroll: false });
  }

  /** Both cursors stand where the current choice is or was; only the active one can be reached. */
  private placeCursors(): void {
    const [map, row, column] = this.split(this.current);
    const [left, top] = this.corner(map);
    const whole = this.options.whole ?? false;
    const position = this.positionOfMap[map];
    const [stepY, stepX] = whole ? [1, 1] : [this.shape.height, this.shape.width];
    if (this.options.passive) return;
    const cursor = this.cursors[this.active];
    const resting = this.cursors[1 - this.active];
    this.outline(
      cursor,
      left + column,
      top + row,
      whole ? this.shape.width : 1,
      whole ? this.shape.height : 1,
    );
    setAttribute(
      cursor.parentElement!,
      "aria-rowindex",
      Math.floor(position / this.columns) * stepY + row + 1,
    );
    setAttribute(cursor, "aria-colindex", (position % this.columns) * stepX + column + 1);
    setAttribute(cursor, "tabindex", 0);
    setAttribute(cursor, "aria-selected", this.chosen === this.current ? "true" : "false");
    cursor.classList.toggle("lab-chosen", this.chosen === this.current);
    setAttribute(resting, "tabindex", -1);
    cursor.parentElement!.hidden = false;
    // Hidden only once the focus has left it, or the focus would be lost on the way.
    queueMicrotask(() => (resting.parentElement!.hidden = document.activeElement !== resting));
    this.describe();
  }

  /** Write anew what the current choice is: its value may have changed. */
  describe(): void {
    if (this.numChoices <= this.current || !this.options.describe) return;
    setAttribute(this.cursors[this.active], "aria-label", this.options.describe(this.current));
  }

  private placeMarks(): void {
    const { height, width, count } = this.shape;
    const visible = this.marked.flatMap((mark) => {
      if (mark.map >= count) return [];
      const [x0, y0] = [Math.max(mark.column, 0), Math.max(mark.row, 0)];
      const [x1, y1] = [
        Math.min(mark.column + mark.width, width),
        Math.min(mark.row + mark.height, height),
      ];
      return x1 > x0 && y1 > y0 ? [{ map: mark.map, x0, y0, x1, y1 }] : [];
    });
    while (this.marks.children.length > visible.length) this.marks.lastChild!.remove();
    while (this.marks.children.length < visible.length)
      this.marks.append(element("div", { class: "lab-mark" }));
    visible.forEach(({ map, x0, y0, x1, y1 }, i) => {
      const [left, top] = this.corner(map);
      this.outline(this.marks.children[i] as HTMLElement, left + x0, top + y0, x1 - x0, y1 - y0);
    });
  }

  private outline(target: HTMLElement, x: number, y: number, width: number, height: number): void {
    target.style.left = `${x * this.zoom}px`;
    target.style.top = `${y * this.zoom}px`;
    target.style.width = `${width * this.zoom}px`;
    target.style.height = `${height * this.zoom}px`;
  }
}
