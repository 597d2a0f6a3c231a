/** Curves of training: what was measured at each iteration, as a line that grows. */

import { element } from "./dom.ts";
import { roundUp, whole } from "./numbers.ts";

const WIDTH = 320;
const HEIGHT = 170;
const LEFT = 44;
const BOTTOM = 24;
const TOP = 10;
const RIGHT = 10;
/** More points than this are thinned: two to a pixel tell no more than one. */
const MAX_POINTS = 600;

export interface Line {
  name: string;
  /** A CSS variable of the page's colours. */
  colour: string;
  dashed?: boolean;
  points: [number, number][];
}

/** Add a point; when there are too many, every second one goes. */
export function addPoint(line: Line, iteration: number, value: number): void {
  line.points.push([iteration, value]);
  if (line.points.length > MAX_POINTS) line.points = line.points.filter((_, i) => i % 2 === 0);
}

/** A picture of lines over iterations, from 0 up to `top` (or to the largest value). */
export class Curves {
  readonly root: HTMLElement;
  private readonly canvas = element("canvas", {
    width: 2 * WIDTH,
    height: 2 * HEIGHT,
    class: "lab-curves",
    role: "img",
  });
  private readonly context = this.canvas.getContext("2d")!;

  constructor(
    private readonly title: string,
    readonly lines: Line[],
    private readonly top: number | null,
  ) {
    const names = lines.map((line) =>
      element("span", { class: line.dashed ? "lab-key lab-dashed" : "lab-key" }, line.name),
    );
    this.root = element(
      "figure",
      { class: "lab-curve" },
      this.canvas,
      element("figcaption", {}, title, ...names),
    );
    // The colours are the theme's: redrawn when the reader changes it.
    new MutationObserver(() => this.draw()).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
    // And when it comes into sight: before, it has no colours.
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  draw(): void {
    const { context } = this;
    const style = getComputedStyle(this.canvas);
    context.setTransform(2, 0, 0, 2, 0, 0);
    context.clearRect(0, 0, WIDTH, HEIGHT);
    const all = this.lines.flatMap((line) => line.points);
    const last = Math.max(10, ...all.map(([iteration]) => iteration));
    const high = this.top ?? roundUp(Math.max(0.1, ...all.map(([, value]) => value)));
    const x = (iteration: number): number => LEFT + (iteration / last) * (WIDTH - LEFT - RIGHT);
    const y = (value: number): number =>
      HEIGHT - BOTTOM - (Math.min(value, high) / high) * (HEIGHT - BOTTOM - TOP);

    context.font = `12px ${style.fontFamily}`;
    context.fillStyle = style.color;
    context.strokeStyle = style.getPropertyValue("--lab-line");
    context.lineWidth = 1;
    context.setLineDash([]);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      const value = share * high;
      context.beginPath();
      context.moveTo(LEFT, Math.round(y(value)) + 0.5);
      context.lineTo(WIDTH - RIGHT, Math.round(y(value)) + 0.5);
      context.stroke();
      context.fillText(
        this.top === 1 ? `${100 * share}%` : String(Number(value.toPrecision(3))),
        LEFT - 6,
        y(value),
      );
    }
    context.textBaseline = "alphabetic";
    context.textAlign = "left";
    context.fillText("0", LEFT, HEIGHT - 6);
    context.textAlign = "right";
    context.fillText(`iteration ${whole(last)}`, WIDTH - RIGHT, HEIGHT - 6);

    for (const line of this.lines) {
      context.strokeStyle = style.getPropertyValue(line.colour) || style.color;
      context.lineWidth = line.dashed ? 2 : 1.5;
      context.setLineDash(line.dashed ? [5, 3] : []);
      context.beginPath();
      line.points.forEach(([iteration, value], i) => {
        if (i === 0) context.moveTo(x(iteration), y(value));
        else context.lineTo(x(iteration), y(value));
      });
      if (line.points.length === 1)
        context.arc(x(line.points[0][0]), y(line.points[0][1]), 2, 0, 2 * Math.PI);
      context.stroke();
    }
    const said = this.lines.map(
      (line) => `${line.name} ${line.points.at(-1)?.[1].toPrecision(3) ?? "not yet known"}`,
    );
    this.canvas.setAttribute(
      "aria-label",
      `${this.title} at iteration ${whole(all.length ? last : 0)}: ${said.join(", ")}`,
    );
  }
}
