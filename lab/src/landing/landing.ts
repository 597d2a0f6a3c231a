/**
 * The landing page's live panel: paper, the guess with its ten bars, the 16 filters, and a slider
 * over the five moments of training.
 *
 * An example's numbers are in this script; a reader's own drawing is read by the network itself,
 * whose small copy is loaded at the first touch.
 */

import { BOOK, forward, type Weights } from "../network.ts";
import { loadSmall } from "../small.ts";
import { centre } from "../ui/centre.ts";
import { pixel, twoSigns } from "../ui/colours.ts";
import { afterwards, button, element, setText, wantsLessMotion } from "../ui/dom.ts";
import { Drawing } from "../ui/drawing.ts";
import { exampleButtons, EXAMPLES } from "../ui/examples.ts";
import { percent, whole } from "../ui/numbers.ts";
import { toFragment } from "../ui/share.ts";
import { MOMENTS } from "./moments.ts";

const FIRST_EXAMPLE = 2;
const LAST = MOMENTS.length - 1;
/** Milliseconds in which the slider goes from the first moment to the last. */
const PLAY_TIME = 4000;
const COLUMNS = 4;
/** Pixels of a filter on the canvas, and from one filter to the next; the page enlarges them. */
const [SIDE, STEP] = [5, 6];

class Panel {
  private readonly drawing = new Drawing();
  /** The example on the paper; `null` where it is the reader's drawing. */
  private example: number | null = FIRST_EXAMPLE;
  private moment = LAST;
  private readonly digit = element("span", { class: "look-digit" });
  private readonly words = element("span");
  private readonly bars: { row: HTMLElement; bar: HTMLElement; share: HTMLElement }[] = [];
  private readonly filters = element("canvas", {
    class: "look-filters",
    width: COLUMNS * STEP - 1,
    height: COLUMNS * STEP - 1,
    role: "img",
  });
  private readonly slider = element("input", {
    type: "range",
    class: "look-slider",
    min: 0,
    max: LAST,
    step: 1,
    "aria-label": "Batches of training",
  });
  private readonly told = element("p", { class: "look-told" });
  private readonly live = element("p", { class: "lab-hidden", role: "status" });
  private readonly playButton = button("Play", () => this.play(), "look-button");
  private readonly saySoon = afterwards(700, () => this.say());
  private readonly loaded = new Map<number, Weights>();
  private readonly loading = new Set<number>();
  private problem = "";
  private timer = 0;

  constructor(
    root: HTMLElement,
    private readonly inside: HTMLAnchorElement | null,
  ) {
    const list = element("ol", { class: "look-bars", "aria-label": "How sure it is" });
    for (let digit = 0; digit < 10; digit += 1) list.append(this.newBar(digit));
    const clear = button("Clear", () => this.drawing.clear(), "look-button");
    root.append(
      element(
        "div",
        { class: "look-time" },
        this.playButton,
        element("div", {}, this.slider, this.ticks()),
        this.told,
      ),
      element(
        "div",
        {},
        element("p", { class: "look-title" }, "Draw a digit", clear),
        this.drawing.root,
        exampleButtons((strokes) => this.choose(EXAMPLES.indexOf(strokes))),
      ),
      element(
        "div",
        {},
        element("p", { class: "look-title" }, "It reads"),
        element("p", { class: "look-guess" }, this.digit, this.words),
        list,
      ),
      element(
        "div",
        { class: "look-learnt" },
        element("p", { class: "look-title" }, "The first layer’s 16 filters"),
        this.filters,
      ),
      this.live,
    );
    this.slider.addEventListener("input", () => {
      this.stop();
      this.show(Number(this.slider.value));
    });
    this.drawing.onchange = () => this.update();
    this.drawing.onreplace = () => this.stop();
    this.choose(FIRST_EXAMPLE);
    this.show(LAST);
    if (!wantsLessMotion()) this.playWhenSeen(root);
  }

  private newBar(digit: number): HTMLElement {
    const bar = element("span", { class: "look-bar" });
    const share = element("span", { class: "look-share" });
    const track = element("span", { class: "look-track" }, bar);
    const row = element("li", {}, element("span", {}, String(digit)), track, share);
    this.bars.push({ row, bar, share });
    return row;
  }

  private ticks(): HTMLElement {
    const names = MOMENTS.map(({ iterations }) => element("span", {}, whole(iterations)));
    return element("div", { class: "look-ticks", "aria-hidden": "true" }, ...names);
  }

  // --- The slider -------------------------------------------------------------------------

  /** Goes through the moments once, when the panel first comes into sight. */
  private playWhenSeen(root: HTMLElement): void {
    new IntersectionObserver((entries, observer) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      observer.disconnect();
      if (this.example !== null) this.play();
    }).observe(root);
  }

  private play(): void {
    if (this.timer) return this.stop();
    setText(this.playButton, "Pause");
    this.show(0);
    this.timer = window.setInterval(() => {
      this.show(this.moment + 1);
      if (this.moment === LAST) this.stop();
    }, PLAY_TIME / LAST);
  }

  private stop(): void {
    window.clearInterval(this.timer);
    this.timer = 0;
    setText(this.playButton, "Play");
  }

  private show(moment: number): void {
    this.moment = moment;
    const { iterations, right } = MOMENTS[moment];
    this.slider.value = String(moment);
    const batches = `${whole(iterations)} ${iterations === 1 ? "batch" : "batches"}`;
    this.slider.setAttribute("aria-valuetext", batches);
    setText(this.told, `After ${batches}: ${right} of 100 test digits right`);
    this.drawFilters();
    this.update();
  }

  private drawFilters(): void {
    const { filters, iterations } = MOMENTS[this.moment];
    const context = this.filters.getContext("2d")!;
    const scale = twoSigns(1);
    filters.forEach((weights, number) => {
      const image = new ImageData(SIDE, SIDE);
      new Uint32Array(image.data.buffer).set(Array.from(weights, (one) => pixel(scale, one)));
      context.putImageData(image, (number % COLUMNS) * STEP, Math.floor(number / COLUMNS) * STEP);
    });
    const look =
      iterations < 100 ? "pale noise" : "strokes and edges, red for ink and blue against";
    this.filters.setAttribute("aria-label", `16 filters of 5 by 5 weights: ${look}`);
  }

  // --- The drawing ------------------------------------------------------------------------

  private choose(example: number): void {
    this.example = example;
    this.drawing.set(EXAMPLES[example], true);
  }

  /** Show what the network makes of the drawing at this moment. */
  private update(): void {
    if (!this.drawing.isUntouched) this.example = null;
    this.saySoon();
    this.link();
    if (this.example !== null) {
      return this.showShares(MOMENTS[this.moment].probabilities[this.example]);
    }
    if (this.drawing.strokes.length === 0) return this.showShares(null, "Draw a digit.");
    const weights = this.loaded.get(this.moment);
    if (weights) {
      const image = centre(this.drawing.scan);
      return this.showShares(forward(BOOK, weights, image).probabilities);
    }
    void this.load(this.moment);
    this.showShares(null, this.problem || "The network is on its way …");
  }

  private async load(moment: number): Promise<void> {
    if (this.loading.has(moment)) return;
    this.loading.add(moment);
    try {
      this.loaded.set(moment, await loadSmall(MOMENTS[moment].iterations));
      this.problem = "";
    } catch (error) {
      this.problem = (error as Error).message;
    }
    if (!this.problem) this.loading.delete(moment);
    this.update();
  }

  /** @param shares Ten probabilities; `null` if there are none to show. */
  private showShares(shares: ArrayLike<number> | null, words = ""): void {
    const all = Array.from(shares ?? new Array<number>(10).fill(0));
    const first = all.indexOf(Math.max(...all));
    setText(this.digit, shares ? String(first) : "–");
    setText(this.words, shares ? `${percent(all[first])} sure` : words);
    this.bars.forEach(({ row, bar, share }, digit) => {
      row.classList.toggle("look-first", shares !== null && digit === first);
      bar.style.transform = `scaleX(${all[digit]})`;
      setText(share, shares ? percent(all[digit]) : "");
    });
  }

  /** The lab opens with this drawing and this network. */
  private link(): void {
    if (!this.inside) return;
    const network = String(MOMENTS[this.moment].iterations);
    const { strokes } = this.drawing;
    this.inside.hash =
      this.example === null && strokes.length > 0
        ? toFragment({ strokes, network, changes: null, cell: null })
        : "";
  }

  private say(): void {
    if (this.timer) return;
    setText(
      this.live,
      `${this.told.textContent}. It reads ${this.digit.textContent}, ${this.words.textContent}`,
    );
  }
}

const root = document.getElementById("first-look");
if (root)
  new Panel(root, document.querySelector<HTMLAnchorElement>(".first-buttons a[href$='lab.html']"));
