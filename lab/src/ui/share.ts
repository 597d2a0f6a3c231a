/**
 * What a link to the lab holds: `#drawing=…&network=1000&cell=conv1.3.4.5`.
 *
 * A drawing is bytes in the letters that an address may hold (base64url): a version, then for
 * each stroke the number of its points and their x and y, then a checksum of two bytes, so
 * that a link that was cut or mistyped is noticed instead of showing some other drawing.
 */

import type { Stroke } from "./centre.ts";

const VERSION = 1;
const MAX_POINTS = 255;
/** Longer than any drawing that a reader makes, shorter than what a browser takes. */
const MAX_LETTERS = 60_000;

/** A layer's name and the cell's place in it; what they may be depends on the network. */
export interface SharedCell {
  layer: string;
  place: number[];
}

export interface Shared {
  strokes: readonly Stroke[];
  network: string | null;
  cell: SharedCell | null;
}

/** What could be read of a link, and what to tell the reader of the rest. */
export interface ReadLink {
  strokes: Stroke[] | null;
  network: string | null;
  cell: SharedCell | null;
  problems: string[];
}

/** Fletcher's checksum: two sums, so that swapped bytes are noticed too. */
function checksum(bytes: readonly number[]): [number, number] {
  let [first, second] = [0, 0];
  for (const byte of bytes) {
    first = (first + byte) % 255;
    second = (second + first) % 255;
  }
  return [first, second];
}

/** Strokes as letters for an address. */
export function encodeStrokes(strokes: readonly Stroke[]): string {
  const bytes = [VERSION];
  for (const stroke of strokes) {
    // A long stroke goes in pieces; each begins where the one before ended.
    for (let start = 0; start === 0 || start + 2 < stroke.length; start += 2 * (MAX_POINTS - 1)) {
      const piece = stroke.slice(start, start + 2 * MAX_POINTS);
      bytes.push(piece.length / 2, ...piece);
    }
  }
  bytes.push(...checksum(bytes));
  const letters = btoa(String.fromCharCode(...bytes));
  return letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The strokes that `encodeStrokes` wrote; `null` if these are not such letters, whole and unchanged. */
export function decodeStrokes(letters: string): Stroke[] | null {
  if (letters.length > MAX_LETTERS || !/^[\w-]+$/.test(letters)) return null;
  let bytes: number[];
  try {
    const text = atob(letters.replaceAll("-", "+").replaceAll("_", "/"));
    bytes = Array.from(text, (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
  const sums = bytes.splice(-2);
  const [first, second] = checksum(bytes);
  if (bytes[0] !== VERSION || sums[0] !== first || sums[1] !== second) return null;
  const strokes: Stroke[] = [];
  for (let at = 1; at < bytes.length;) {
    const length = 2 * bytes[at];
    const stroke = bytes.slice(at + 1, at + 1 + length);
    if (length === 0 || stroke.length !== length) return null;
    strokes.push(stroke);
    at += 1 + length;
  }
  return strokes;
}

/** The address's fragment, without its `#`. */
export function toFragment(shared: Shared): string {
  const parts = [`drawing=${encodeStrokes(shared.strokes)}`];
  if (shared.network !== null) parts.push(`network=${shared.network}`);
  if (shared.cell) parts.push(`cell=${[shared.cell.layer, ...shared.cell.place].join(".")}`);
  return parts.join("&");
}

/** Read a fragment; `null` if it is not one of the lab's (a heading's name, say). */
export function fromFragment(fragment: string): ReadLink | null {
  const text = fragment.replace(/^#/, "");
  if (!/^(drawing|network|cell)=/.test(text)) return null;
  const parts = new URLSearchParams(text);
  const problems: string[] = [];

  const letters = parts.get("drawing");
  const strokes = letters === null ? null : decodeStrokes(letters);
  if (letters !== null && !strokes) {
    problems.push("Its drawing is damaged: some letters are missing or changed.");
  }
  const cellText = parts.get("cell");
  const match = cellText === null ? null : /^([a-z]+\d?)((?:\.\d{1,4}){1,3})$/.exec(cellText);
  const cell = match ? { layer: match[1], place: match[2].slice(1).split(".").map(Number) } : null;
  if (cellText !== null && !cell)
    problems.push(`It chooses a number that is none of the network’s: “${cellText.slice(0, 40)}”.`);
  return { strokes, network: parts.get("network"), cell, problems };
}
