/**
 * Pixels of the network's picture that were changed to mislead it. They lie over the paper, and
 * each has a frame: orange-red stands out from ink and from paper, to colour-blind readers too.
 */

import type { PixelChange } from "../attribution.ts";
import { IMAGE_SIZE } from "./centre.ts";
import { element, setAttribute } from "./dom.ts";
import { plural } from "./numbers.ts";

/** How many pixels of the canvas one of the picture's takes, and how many a frame's line. */
const SIDE = 20;
const LINE = 4;
const FRAME = "#d55e00";

export class Retouch {
  readonly root = element("canvas", {
    class: "lab-retouched",
    width: SIDE * IMAGE_SIZE,
    height: SIDE * IMAGE_SIZE,
    role: "img",
    hidden: true,
  });
  private readonly context = this.root.getContext("2d")!;
  /** Changed places, in the order of the changes, and the ink that was there. */
  private changes: { place: number; before: number }[] = [];
  /** The picture with the changes; `null` without any. */
  image: Float32Array | null = null;

  get places(): number[] {
    return this.changes.map(({ place }) => place);
  }

  /** @param picture What the network sees, earlier changes included. */
  change(picture: Float32Array, { place, value }: PixelChange): void {
    this.changes.push({ place, before: picture[place] });
    this.show(changed(picture, place, value));
  }

  /** Undo the last change, or all. */
  takeBack(all: boolean): void {
    let image = this.image;
    do {
      const last = this.changes.pop();
      if (last && image) image = changed(image, last.place, last.before);
    } while (all && this.changes.length > 0);
    this.show(image);
  }

  /** Forget them; `false` if there were none. */
  clear(): boolean {
    const had = this.changes.length > 0;
    this.changes = [];
    if (had) this.show(null);
    return had;
  }

  private show(image: Float32Array | null): void {
    const { length } = this.changes;
    this.image = length > 0 ? image : null;
    this.root.hidden = length === 0;
    if (!this.image) return;
    setAttribute(this.root, "aria-label", `Your digit with ${plural(length, "pixel")} changed`);
    const { context } = this;
    const corner = (place: number): [number, number] => [
      SIDE * (place % IMAGE_SIZE),
      SIDE * Math.floor(place / IMAGE_SIZE),
    ];
    this.image.forEach((ink, place) => {
      const light = Math.round(255 * (1 - ink));
      context.fillStyle = `rgb(${light} ${light} ${light})`;
      context.fillRect(...corner(place), SIDE, SIDE);
    });
    context.strokeStyle = FRAME;
    context.lineWidth = LINE;
    for (const place of this.places) {
      const [left, top] = corner(place);
      context.strokeRect(left + LINE / 2, top + LINE / 2, SIDE - LINE, SIDE - LINE);
    }
  }
}

/** A picture with one pixel changed. */
function changed(picture: Float32Array, place: number, ink: number): Float32Array {
  const image = picture.slice();
  image[place] = ink;
  return image;
}
