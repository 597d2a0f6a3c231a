/**
 * What a link to the lab holds:
 * `#drawing=…&network=1000&changes=…&cell=conv1.3.4.5`.
 *
 * A drawing, and changes to filters, are bytes in the letters that an address may hold
 * (base64url): a version, what is told, then a checksum of two bytes, so that a link that was
 * cut or mistyped is noticed instead of showing something else.
 *
 * A drawing is, for each stroke, the number of its points and their x and y; a stroke of
 * more than 255 points goes in pieces, each of which begins where the one before ended. Changes
 * follow one after the other: what was changed (`SILENCED`, `BIAS`, `NUMBERS`), layer and filter;
 * for a bias its float32; for numbers the channel, their count and their float32s, lowest byte
 * first.
 */

import type { Stroke } from "./centre.ts";
import type { Changes } from "./edits.ts";

const VERSION = 1;
/** Points in a piece: their number is one byte. */
const MAX_POINTS = 255;
/** Room for minutes of drawing, and for changes to all filters; less than what a browser takes. */
const MAX_LETTERS = 100_000;
const [SILENCED, BIAS, NUMBERS] = [0, 1, 2];

/** A layer's name and the cell's place in it; what they may be depends on the network. */
export interface SharedCell {
  layer: string;
  place: number[];
}

export interface Shared {
  strokes: readonly Stroke[];
  network: string | null;
  changes: Changes | null;
  cell: SharedCell | null;
}

/** What could be read of a link, and what to tell the reader of the rest. */
export interface ReadLink {
  strokes: Stroke[] | null;
  network: string | null;
  changes: Changes | null;
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

/** Bytes as letters for an address, with a version before and a checksum after them. */
function toLetters(content: readonly number[]): string {
  const bytes = [VERSION, ...content];
  bytes.push(...checksum(bytes));
  const letters = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The bytes that `toLetters` was given; `null` if these are not such letters, whole and unchanged. */
function fromLetters(letters: string): number[] | null {
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
  return bytes.slice(1);
}

/** Strokes as letters for an address. */
export function encodeStrokes(strokes: readonly Stroke[]): string {
  const bytes: number[] = [];
  for (const stroke of strokes) {
    for (let start = 0; start === 0 || start + 2 < stroke.length; start += 2 * (MAX_POINTS - 1)) {
      const piece = stroke.slice(start, start + 2 * MAX_POINTS);
      bytes.push(piece.length / 2, ...piece);
    }
  }
  return toLetters(bytes);
}

/** The strokes that `encodeStrokes` wrote; `null` if the letters are damaged. */
export function decodeStrokes(letters: string): Stroke[] | null {
  const bytes = fromLetters(letters);
  if (!bytes) return null;
  const strokes: Stroke[] = [];
  // Whether the piece before was full, and so may be one of a longer stroke.
  let goesOn = false;
  for (let at = 0; at < bytes.length;) {
    const length = 2 * bytes[at];
    const piece = bytes.slice(at + 1, at + 1 + length);
    if (length === 0 || piece.length !== length) return null;
    const before = goesOn ? strokes.at(-1)! : [];
    if (goesOn && piece[0] === before.at(-2) && piece[1] === before.at(-1)) {
      for (let i = 2; i < length; i += 1) before.push(piece[i]);
    } else strokes.push(piece);
    goesOn = length === 2 * MAX_POINTS;
    at += 1 + length;
  }
  return strokes;
}

/** Float32 numbers as bytes, the lowest first. */
function floatBytes(numbers: ArrayLike<number>): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * numbers.length));
  for (let i = 0; i < numbers.length; i += 1) view.setFloat32(4 * i, numbers[i], true);
  return new Uint8Array(view.buffer);
}

/** Changes to filters as letters for an address. */
export function encodeChanges({ silenced, biases, filters }: Changes): string {
  const bytes: number[] = [];
  for (const { layer, filter } of silenced) bytes.push(SILENCED, layer, filter);
  for (const { layer, filter, value } of biases)
    bytes.push(BIAS, layer, filter, ...floatBytes([value]));
  for (const { layer, channel, filter, numbers } of filters)
    bytes.push(NUMBERS, layer, filter, channel, numbers.length, ...floatBytes(numbers));
  return toLetters(bytes);
}

/** The changes that `encodeChanges` wrote; `null` if the letters are damaged. */
export function decodeChanges(letters: string): Changes | null {
  const bytes = fromLetters(letters);
  if (!bytes) return null;
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const changes: Changes = { silenced: [], biases: [], filters: [] };
  let at = 0;
  const byte = (): number => view.getUint8(at++);
  const float = (): number => view.getFloat32((at += 4) - 4, true);
  try {
    while (at < bytes.length) {
      const [kind, layer, filter] = [byte(), byte(), byte()];
      if (layer !== 1 && layer !== 2) return null;
      if (kind === SILENCED) changes.silenced.push({ layer, filter });
      else if (kind === BIAS) changes.biases.push({ layer, filter, value: float() });
      else if (kind === NUMBERS) {
        const [channel, count] = [byte(), byte()];
        const numbers = Float32Array.from({ length: count }, float);
        changes.filters.push({ layer, channel, filter, numbers });
      } else return null;
    }
  } catch {
    // The last one was cut short.
    return null;
  }
  return changes;
}

/** The address's fragment, without its `#`; a drawing that is too long for it is left out. */
export function toFragment(shared: Shared): string {
  const parts: string[] = [];
  const drawing = encodeStrokes(shared.strokes);
  if (drawing.length <= MAX_LETTERS) parts.push(`drawing=${drawing}`);
  if (shared.network !== null) parts.push(`network=${shared.network}`);
  if (shared.changes) parts.push(`changes=${encodeChanges(shared.changes)}`);
  if (shared.cell) parts.push(`cell=${[shared.cell.layer, ...shared.cell.place].join(".")}`);
  return parts.join("&");
}

/** Whether a fragment that `toFragment` wrote holds the drawing. */
export function holdsDrawing(fragment: string): boolean {
  return fragment.startsWith("drawing=");
}

/** Read a fragment; `null` if it is not one of the lab's (a heading's name, say). */
export function fromFragment(fragment: string): ReadLink | null {
  const text = fragment.replace(/^#/, "");
  if (!/^(drawing|network|changes|cell)=/.test(text)) return null;
  const parts = new URLSearchParams(text);
  const problems: string[] = [];

  const letters = parts.get("drawing");
  const strokes = letters === null ? null : decodeStrokes(letters);
  if (letters !== null && !strokes) {
    problems.push("Its drawing is damaged: some characters are missing or changed.");
  }
  const changesText = parts.get("changes");
  const changes = changesText === null ? null : decodeChanges(changesText);
  if (changesText !== null && !changes) {
    problems.push("Its changes to filters are damaged: some characters are missing or changed.");
  }
  const cellText = parts.get("cell");
  const match = cellText === null ? null : /^([a-z]+\d?)((?:\.\d{1,4}){1,3})$/.exec(cellText);
  const cell = match ? { layer: match[1], place: match[2].slice(1).split(".").map(Number) } : null;
  if (cellText !== null && !cell)
    problems.push(
      `It chooses a number that is not one of the network’s: “${cellText.slice(0, 40)}”.`,
    );
  return {
    strokes,
    network: parts.get("network"),
    changes,
    cell,
    problems,
  };
}
