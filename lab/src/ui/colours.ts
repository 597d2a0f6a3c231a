/**
 * Numbers as colours, with the colour maps of the book's own pictures.
 *
 * Images are ink on paper; numbers of one sign run from dark to bright (Matplotlib's viridis);
 * numbers of either sign are blue below zero, white at zero, red above (RdBu, reversed). All
 * three can be read by people who cannot tell red from green.
 */

const VIRIDIS =
  "440154 470d60 48186a 482374 472d7b 453781 424086 3e4989 3b528b 375b8d 33638d 2f6b8e " +
  "2c728e 297a8e 26828e 23898e 21918c 1f988b 1fa088 22a785 28ae80 32b67a 3fbc73 4ec36b " +
  "5ec962 70cf57 84d44b 98d83e addc30 c2df23 d8e219 ece51b fde725";
const RED_BLUE = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f";

/** 256 colours, each a pixel of `ImageData`: red in the lowest byte, alpha in the highest. */
export type ColourMap = Uint32Array;

function colourMap(stops: string): ColourMap {
  const colours = stops.split(" ").map((stop) => Number.parseInt(stop, 16));
  const map = new Uint32Array(256);
  for (let step = 0; step < 256; step += 1) {
    const at = (step / 255) * (colours.length - 1);
    const low = Math.min(Math.floor(at), colours.length - 2);
    const mix = (shift: number): number => {
      const from = (colours[low] >> shift) & 255;
      const to = (colours[low + 1] >> shift) & 255;
      return Math.round(from + (to - from) * (at - low));
    };
    map[step] = ((255 << 24) | (mix(0) << 16) | (mix(8) << 8) | mix(16)) >>> 0;
  }
  return map;
}

/** For images: 0 is paper, 1 is ink. */
export const INK: ColourMap = colourMap("ffffff 000000");
/** For numbers from zero up. */
export const ONE_SIGN: ColourMap = colourMap(VIRIDIS);
/** For numbers below and above zero. */
export const TWO_SIGNS: ColourMap = colourMap(RED_BLUE);

/** Which number has which colour. */
export interface Scale {
  map: ColourMap;
  low: number;
  high: number;
}

/** A scale from `-limit` to `limit`, white at zero. */
export function twoSigns(limit: number): Scale {
  return { map: TWO_SIGNS, low: -limit, high: limit };
}

/** A scale from 0 to `limit`. */
export function oneSign(limit: number): Scale {
  return { map: ONE_SIGN, low: 0, high: limit };
}

/** Images' scale. */
export const PAPER: Scale = { map: INK, low: 0, high: 1 };

/** The colour of a number, as a pixel. */
export function pixel(scale: Scale, value: number): number {
  const share = (value - scale.low) / (scale.high - scale.low);
  const step = share > 0 ? (share < 1 ? Math.round(share * 255) : 255) : 0;
  return scale.map[step];
}

function linear(byte: number): number {
  const share = byte / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
}

/** Colour an element by a number, and its text black or white, whichever is clearer. */
export function paint(target: HTMLElement, scale: Scale, value: number): void {
  const colour = pixel(scale, value);
  const [red, green, blue] = [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
  target.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
  // WCAG's relative luminance; at 0.179 black and white stand out equally.
  const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  target.style.color = luminance > 0.179 ? "#000" : "#fff";
}
