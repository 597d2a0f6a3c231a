/** The drawing paper: strokes by mouse, finger, pen or keyboard. */

import type { PixelChange } from "../attribution.ts";
import {
  addPoint,
  centre,
  lineWidth,
  PAPER_SIZE,
  PEN_WIDTH,
  scanOf,
  type Stroke,
} from "./centre.ts";
import { afterwards, ARROWS, element, isShortcut, newId, setText, wantsLessMotion } from "./dom.ts";
import { Retouch } from "./retouch.ts";

/** Points closer than this to the one before are left out: they would change nothing. */
const MIN_DISTANCE = 3;
const STEP = 8;
const SMALL_STEP = 2;
/**
 * Lines wider than this many pixels of the network's picture run together. The page's examples are
 * all read correctly up to this width, where they are a quarter of the paper high; at an eighth
 * (8 pixels) two of the ten are.
 */
const WIDE_LINE = 5;
/** Milliseconds in which an example draws itself. */
const PLAY_TIME = 1200;

/** Keep a coordinate on the paper, as a whole number. */
function onPaper(value: number): number {
  return Math.min(Math.max(Math.round(value), 0), PAPER_SIZE - 1);
}

/** The first `count` points of some strokes. */
function beginning(strokes: readonly Stroke[], count: number): Stroke[] {
  const drawn: Stroke[] = [];
  let left = count;
  for (const stroke of strokes) {
    if (left <= 0) break;
    drawn.push(stroke.slice(0, 2 * left));
    left -= stroke.length / 2;
  }
  return drawn;
}

/**
 * The paper and what was drawn on it.
 *
 * `onchange` is called after every change, with the time of the event that caused it; `ondone`
 * when a stroke is finished or the drawing was replaced; `onreplace` when a first stroke takes an
 * example's place.
 */
export class Drawing {
  readonly root: HTMLElement;
  strokes: Stroke[] = [];
  /** The strokes as NIST would have scanned them; kept up to date as the pen moves. */
  scan: Float32Array = scanOf([]);
  onchange: (time: number) => void = () => {};
  ondone: () => void = () => {};
  /** An example made way for a stroke. */
  onreplace: () => void = () => {};
  /** Changed pixels went with the picture that they belonged to. */
  onlost: () => void = () => {};

  private readonly retouch = new Retouch();
  private readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D;
  private readonly pen: HTMLElement;
  private readonly status: HTMLElement;
  private readonly hint = element("p", { class: "lab-hint lab-small", role: "status" });
  private readonly judgeSoon = afterwards(700, () => this.judgeSize());
  private pointer: number | null = null;
  private x = PAPER_SIZE / 2;
  private y = PAPER_SIZE / 4;
  private penDown = false;
  /** What lies on the paper is an example: the first stroke takes its place. */
  private isExample = false;
  private playing = 0;
  /** The prepared photograph that lies on the paper, `[28][28]`, and how it came about. */
  private photo: { image: Float32Array; shown: HTMLElement } | null = null;

  constructor() {
    const help = element(
      "p",
      { id: newId("keys"), class: "lab-hint lab-keys" },
      "If the paper shows an example, your first stroke replaces it. By keyboard: arrow keys move the pen (with Shift, in small steps), Space puts it down and " +
        "lifts it, Backspace undoes the last stroke, Delete clears the paper.",
    );
    this.canvas = element("canvas", {
      class: "lab-paper",
      width: 2 * PAPER_SIZE,
      height: 2 * PAPER_SIZE,
      tabindex: 0,
      role: "application",
      "aria-label": "Drawing paper",
      "aria-describedby": help.id,
    });
    this.context = this.canvas.getContext("2d")!;
    this.pen = element("div", { class: "lab-pen", "aria-hidden": "true", hidden: true });
    this.status = element("p", { class: "lab-hidden", role: "status" });
    this.root = element(
      "div",
      { class: "lab-paper-frame" },
      this.canvas,
      this.retouch.root,
      this.pen,
      help,
      this.hint,
      this.status,
    );

    this.canvas.addEventListener("pointerdown", (event) => this.touchDown(event));
    this.canvas.addEventListener("pointermove", (event) => this.touchMove(event));
    // The last comes after both, and alone where the browser takes the pointer away.
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      this.canvas.addEventListener(kind, (event) => this.touchUp(event));
    }
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => this.showPen());
    this.canvas.addEventListener("blur", () => {
      this.liftPen();
      this.pen.hidden = true;
      this.canvas.classList.remove("lab-touched", "lab-keyed");
    });
    this.paint();
  }

  /** Replace the drawing; an example makes way for the first stroke. */
  set(strokes: readonly (readonly number[])[], isExample = false): void {
    this.stopPlaying();
    this.isExample = isExample;
    this.takeAway();
    this.dropChanges();
    this.penDown = false;
    this.pointer = null;
    this.strokes = strokes.map((stroke) => [...stroke]);
    this.changed(performance.now());
    this.done();
  }

  /** Lay a photograph on the paper; it makes way for the first stroke, as an example does. */
  lay(image: Float32Array, shown: HTMLElement): void {
    this.set([], true);
    this.photo = { image, shown };
    this.root.append(shown);
    this.onchange(performance.now());
  }

  /** Whether what lies on the paper is an example as it was, or a photograph. */
  get isUntouched(): boolean {
    return this.isExample;
  }

  get isPhoto(): boolean {
    return this.photo !== null;
  }

  /** The drawing or the photograph as the network sees it: `[28][28]`, 0 paper to 1 ink. */
  image(): Float32Array {
    return this.retouch.image ?? this.photo?.image ?? centre(this.scan);
  }

  /** Pixels of the network's picture that were changed, in their order. */
  get changedPixels(): number[] {
    return this.retouch.places;
  }

  /** Change a pixel of the network's picture; whatever is drawn next does without. */
  change(pixel: PixelChange): void {
    this.retouch.change(this.image(), pixel);
    this.onchange(performance.now());
  }

  /** Take back the pixel that was changed last, or all of them. */
  takeBack(all: boolean): void {
    this.retouch.takeBack(all);
    this.onchange(performance.now());
  }

  private dropChanges(): void {
    if (this.retouch.clear()) this.onlost();
  }

  /** Let an example draw itself, as if by hand; at once for readers who want less motion. */
  play(strokes: readonly Stroke[], ondone: () => void): void {
    this.stopPlaying();
    const end = (): void => {
      this.set(strokes, true);
      ondone();
    };
    if (wantsLessMotion()) return end();
    const total = strokes.reduce((count, stroke) => count + stroke.length / 2, 0);
    const start = performance.now();
    const frame = (now: number): void => {
      const share = (now - start) / PLAY_TIME;
      if (share >= 1) return end();
      this.strokes = beginning(strokes, Math.ceil(Math.max(0, share) * total));
      this.changed(now);
      this.playing = requestAnimationFrame(frame);
    };
    this.playing = requestAnimationFrame(frame);
  }

  private takeAway(): void {
    this.photo?.shown.remove();
    this.photo = null;
  }

  private stopPlaying(): void {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
  }

  /** Take back what came last: a changed pixel, or else a stroke. */
  undo(): void {
    if (this.changedPixels.length > 0) this.takeBack(false);
    else this.set(this.strokes.slice(0, -1));
  }

  clear(): void {
    this.set([]);
  }

  private done(): void {
    this.ondone();
    this.judgeSoon();
  }

  /** Say so if the digit is too small to read, but not while the pen is on the paper. */
  private judgeSize(): void {
    if (this.pointer !== null || this.penDown) return;
    const width = lineWidth(this.scan);
    setText(
      this.hint,
      width > WIDE_LINE
        ? `Too small for this pen: once scaled up, its lines are ${Math.round(width)} pixels wide; in MNIST they are 2 to 3. Draw it larger, to fill most of the paper.`
        : "",
    );
  }

  private changed(time: number): void {
    this.scan = scanOf(this.strokes);
    this.paint();
    this.onchange(time);
  }

  private paint(): void {
    const { context } = this;
    context.setTransform(2, 0, 0, 2, 0, 0);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, PAPER_SIZE, PAPER_SIZE);
    context.strokeStyle = "#000";
    context.lineWidth = PEN_WIDTH;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const stroke of this.strokes) this.paintStroke(stroke, 0);
  }

  private paintStroke(stroke: Stroke, from: number): void {
    const { context } = this;
    context.beginPath();
    context.moveTo(stroke[2 * from], stroke[2 * from + 1]);
    // A stroke of one point is a dot: a line of no length, which round ends make visible.
    for (let at = 2 * from; at < stroke.length; at += 2) context.lineTo(stroke[at], stroke[at + 1]);
    context.stroke();
  }

  private begin(x: number, y: number, time: number): void {
    this.dropChanges();
    if (this.isExample || this.playing) {
      this.stopPlaying();
      this.isExample = false;
      this.takeAway();
      this.strokes = [];
      this.scan = scanOf([]);
      this.paint();
      this.onreplace();
    }
    this.strokes.push([onPaper(x), onPaper(y)]);
    this.grown(time);
  }

  /** Draw on; `false` if the point is too close to the last to matter. */
  private extend(x: number, y: number, minDistance: number): boolean {
    const stroke = this.strokes.at(-1);
    if (!stroke) return false;
    const [px, py] = [onPaper(x), onPaper(y)];
    const distance = Math.hypot(px - stroke.at(-2)!, py - stroke.at(-1)!);
    if (distance < minDistance || distance === 0) return false;
    stroke.push(px, py);
    return true;
  }

  /** Paint and scan only the newest point of the newest stroke. */
  private addNewest(): void {
    const stroke = this.strokes.at(-1)!;
    const newest = stroke.length / 2 - 1;
    addPoint(this.scan, stroke, newest);
    this.paintStroke(stroke, Math.max(0, newest - 1));
  }

  private grown(time: number): void {
    this.addNewest();
    this.onchange(time);
  }

  private place(event: PointerEvent): [number, number] {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * PAPER_SIZE,
      ((event.clientY - box.top) / box.height) * PAPER_SIZE,
    ];
  }

  private touchDown(event: PointerEvent): void {
    if (event.button !== 0 || this.pointer !== null) return;
    event.preventDefault();
    // To some browsers this focus is as good as a key's: the help would show.
    this.canvas.classList.add("lab-touched");
    this.canvas.focus({ preventScroll: true });
    this.liftPen();
    this.pen.hidden = true;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    [this.x, this.y] = this.place(event);
    this.begin(this.x, this.y, event.timeStamp);
  }

  private touchMove(event: PointerEvent): void {
    if (event.pointerId !== this.pointer) return;
    let grew = false;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) {
      [this.x, this.y] = this.place(move);
      if (!this.extend(this.x, this.y, MIN_DISTANCE)) continue;
      this.addNewest();
      grew = true;
    }
    if (grew) this.onchange(event.timeStamp);
  }

  private touchUp(event: PointerEvent): void {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.done();
  }

  private key(event: KeyboardEvent): void {
    const arrow = ARROWS[event.key];
    if (isShortcut(event)) {
      if (event.key !== "z" || event.altKey) return;
      this.undo();
    } else if (arrow) {
      this.movePen(arrow, event.shiftKey ? SMALL_STEP : STEP, event.timeStamp);
    } else if (event.key === " " || event.key === "Enter") {
      if (this.penDown) this.liftPen();
      else this.lowerPen(event.timeStamp);
    } else if (event.key === "Backspace") {
      const isPixel = this.changedPixels.length > 0;
      this.undo();
      this.say(isPixel ? "Last pixel change undone." : "Last stroke undone.");
    } else if (event.key === "Delete") {
      this.clear();
      this.say("Paper cleared.");
    } else {
      return;
    }
    event.preventDefault();
    this.canvas.classList.remove("lab-touched");
    this.canvas.classList.add("lab-keyed");
    this.showPen();
  }

  private movePen([dx, dy]: readonly [number, number], step: number, time: number): void {
    this.x = onPaper(this.x + dx * step);
    this.y = onPaper(this.y + dy * step);
    if (this.penDown && this.extend(this.x, this.y, 1)) this.grown(time);
    const where = `${Math.round((this.x / (PAPER_SIZE - 1)) * 100)} across, ${Math.round((this.y / (PAPER_SIZE - 1)) * 100)} down`;
    this.say(`${this.penDown ? "Drawing" : "Pen up"}, ${where}`);
  }

  private lowerPen(time: number): void {
    this.penDown = true;
    this.begin(this.x, this.y, time);
    this.say("Pen down");
  }

  private liftPen(): void {
    if (!this.penDown) return;
    this.penDown = false;
    this.say("Pen up");
    this.done();
  }

  private showPen(): void {
    // The theme's focus ring says where the focus is; the pen shows only once keys move it.
    this.pen.hidden = !this.canvas.matches(":focus-visible");
    this.pen.style.left = `${(this.x / PAPER_SIZE) * 100}%`;
    this.pen.style.top = `${(this.y / PAPER_SIZE) * 100}%`;
    this.pen.classList.toggle("lab-pen-down", this.penDown);
  }

  private say(text: string): void {
    setText(this.status, text);
  }
}
