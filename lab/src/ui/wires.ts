/** The wires: lines over the picture, as wide as what goes along them is large. */

import { setAttribute, svgElement } from "./dom.ts";
import type { Box } from "./layout.ts";
import type { Path, Wire } from "./path.ts";

/** A wire's ends, and whether it runs from left to right or from top to bottom. */
type Curve = readonly [number, number, number, number, number, number, number, number];

const WIDEST = 6;
const THINNEST = 0.6;
/** How near a click must come to a wire, in pixels. */
const NEAR = 6;

/** From the middle of one rectangle's edge to the middle of another's. */
function curveBetween(from: Box, to: Box, wide: boolean): Curve {
  const across = ({ left, width }: Box): number => left + width / 2;
  const down = ({ top, height }: Box): number => top + height / 2;
  if (wide) {
    const [x0, y0, x1, y1] = [from.left + from.width, down(from), to.left, down(to)];
    const bend = Math.max(20, (x1 - x0) / 2);
    return [x0, y0, x0 + bend, y0, x1 - bend, y1, x1, y1];
  }
  const [x0, y0, x1, y1] = [across(from), from.top + from.height, across(to), to.top];
  const bend = Math.max(12, (y1 - y0) / 2);
  return [x0, y0, x0, y0 + bend, x1, y1 - bend, x1, y1];
}

function pointOn([x0, y0, x1, y1, x2, y2, x3, y3]: Curve, t: number): [number, number] {
  const s = 1 - t;
  const [a, b, c, d] = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
  return [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3];
}

export class Wires {
  readonly root = svgElement("svg", { class: "lab-wires", "aria-hidden": "true" });
  private readonly lines: SVGElement[] = [];
  private shown: { wire: Wire; curve: Curve }[] = [];

  /** @param boxOf Where an end of a wire stands on the stage. */
  constructor(private readonly boxOf: (end: Wire["from"]) => Box) {}

  /** Show a number's wires, in place of those before; `null` for none. */
  show(path: Path | null, wide: boolean, open: number | null): void {
    const groups: [string, Wire[]][] = path
      ? [
          ["onward", path.onward],
          ["forward", path.forward],
          ["back", path.back],
        ]
      : [];
    this.shown = [];
    let used = 0;
    for (const [kind, wires] of groups) {
      const most = Math.max(...wires.map(({ value }) => Math.abs(value)), 1e-9);
      for (const wire of wires) {
        const curve = curveBetween(this.boxOf(wire.from), this.boxOf(wire.to), wide);
        const width = THINNEST + (WIDEST - THINNEST) * (Math.abs(wire.value) / most);
        const isOpen = kind === "back" && wire.channel !== undefined && wire.channel === open;
        this.draw(used, kind, wire, curve, width, isOpen);
        if (kind !== "onward") this.shown.push({ wire, curve });
        used += 1;
      }
    }
    for (const line of this.lines.slice(used)) setAttribute(line, "visibility", "hidden");
  }

  private draw(
    at: number,
    kind: string,
    { value, channel }: Wire,
    [x0, y0, ...rest]: Curve,
    width: number,
    open: boolean,
  ): void {
    if (at === this.lines.length) {
      const line = svgElement("path", { pathLength: 1 });
      this.lines.push(line);
      this.root.append(line);
    }
    const line = this.lines[at];
    const round = (number: number): number => Math.round(10 * number) / 10;
    setAttribute(line, "visibility", undefined);
    setAttribute(line, "d", `M${round(x0)} ${round(y0)}C${rest.map(round).join(" ")}`);
    setAttribute(line, "stroke-width", round(width));
    setAttribute(line, "data-kind", kind);
    setAttribute(line, "data-value", value);
    setAttribute(line, "data-channel", channel);
    setAttribute(
      line,
      "class",
      `${value < 0 ? "lab-against" : "lab-for"}${open ? " lab-open" : ""}`,
    );
  }

  /** The wire that runs by a point of the stage. */
  near(x: number, y: number): Wire | null {
    let best: Wire | null = null;
    let least = NEAR;
    for (const { wire, curve } of this.shown) {
      for (let step = 0; step <= 60; step += 1) {
        const [px, py] = pointOn(curve, step / 60);
        const distance = Math.hypot(px - x, py - y);
        if (distance < least) [best, least] = [wire, distance];
      }
    }
    return best;
  }
}
