/**
 * NumPy's archives: a zip file with an array in each member (`numpy.savez`).
 *
 * The formats: PKWARE's "APPNOTE.TXT, .ZIP File Format Specification", and NumPy's own "NEP 1, A
 * Simple File Format for NumPy Arrays".
 */

import { crc32 } from "./data.ts";
import { LabError } from "./errors.ts";

/** An array: float32 (`<f4`) or whole numbers (`<i8`), row-major. */
export interface NpyArray {
  shape: number[];
  values: Float32Array | BigInt64Array;
}

/** Larger than any network of the lab: what is larger is refused before it is read. */
const MOST_BYTES = 32_000_000;
const MOST_MEMBERS = 100;

/** A member of a zip file. */
export interface Member {
  name: string;
  bytes: Uint8Array;
}

// --- Writing ------------------------------------------------------------------------------

/** An array as a `.npy` file. */
export function npy({ shape, values }: NpyArray): Uint8Array<ArrayBuffer> {
  const kind = values instanceof Float32Array ? "<f4" : "<i8";
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const about = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${axes}), }`;
  // With the ten bytes before it, and a newline, a multiple of 64.
  const header = about.padEnd(Math.ceil((about.length + 11) / 64) * 64 - 11, " ") + "\n";
  const start = 10 + header.length;
  const bytes = new Uint8Array(start + values.byteLength);
  bytes.set([0x93, ...ascii("NUMPY"), 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(ascii(header), 10);
  const view = new DataView(bytes.buffer);
  values.forEach((value: number | bigint, i: number) => {
    if (typeof value === "number") view.setFloat32(start + 4 * i, value, true);
    else view.setBigInt64(start + 8 * i, value, true);
  });
  return bytes;
}

/** Members as a zip file, uncompressed. */
export function zip(members: Member[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name, bytes } of members) {
    const local = memberHeader(name, bytes, null);
    directory.push(memberHeader(name, bytes, at));
    parts.push(local, bytes);
    at += local.length + bytes.length;
  }
  const length = directory.reduce((sum, one) => sum + one.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, members.length, true);
  end.setUint16(10, members.length, true);
  end.setUint32(12, length, true);
  end.setUint32(16, at, true);
  const all = new Uint8Array(at + length + 22);
  let to = 0;
  for (const part of [...parts, ...directory, new Uint8Array(end.buffer)]) {
    all.set(part, to);
    to += part.length;
  }
  return all;
}

/** A member's header or, with `offset`, where the member begins, its entry in the directory. */
function memberHeader(name: string, bytes: Uint8Array, offset: number | null): Uint8Array {
  const inDirectory = offset !== null;
  const start = inDirectory ? 46 : 30;
  const header = new Uint8Array(start + name.length);
  const view = new DataView(header.buffer);
  view.setUint32(0, inDirectory ? 0x02014b50 : 0x04034b50, true);
  const shift = inDirectory ? 6 : 4;
  if (inDirectory) view.setUint16(4, 20, true);
  view.setUint16(shift, 20, true);
  // 1 January 1980, so that the same numbers give the same file.
  view.setUint16(shift + 8, 0x21, true);
  view.setUint32(shift + 10, crc32(bytes), true);
  view.setUint32(shift + 14, bytes.length, true);
  view.setUint32(shift + 18, bytes.length, true);
  view.setUint16(shift + 22, name.length, true);
  if (inDirectory) view.setUint32(42, offset, true);
  header.set(ascii(name), start);
  return header;
}

/** Arrays as a `.npz` file. */
export function npz(arrays: Record<string, NpyArray>): Uint8Array<ArrayBuffer> {
  return zip(
    Object.entries(arrays).map(([name, array]) => ({ name: `${name}.npy`, bytes: npy(array) })),
  );
}

const ascii = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0));

// --- Reading ------------------------------------------------------------------------------

const bad = (how: string): LabError => new LabError("damaged", `This file ${how}.`);

/**
 * Reads the arrays of a `.npz` file.
 *
 * @throws {LabError} "damaged" if it is not one, is too large, or holds anything but arrays of
 *   float32 and whole numbers.
 */
export async function readNpz(bytes: Uint8Array): Promise<Record<string, NpyArray>> {
  if (bytes.length > MOST_BYTES) {
    throw bad(`is ${Math.round(bytes.length / 1e6)} MB: no network on this page is that large`);
  }
  const arrays: Record<string, NpyArray> = {};
  let left = MOST_BYTES;
  for (const { name, bytes: content } of await members(bytes, () => left)) {
    left -= content.length;
    if (!name.endsWith(".npy")) throw bad(`holds “${shown(name)}”, which is not an array`);
    arrays[name.slice(0, -4)] = parseNpy(content, name);
  }
  return arrays;
}

const shown = (name: string): string => name.slice(0, 40);

/** The members of a zip file; `left` tells how many bytes they may still take. */
async function members(bytes: Uint8Array, left: () => number): Promise<Member[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const none = bad("is not a .npz archive: write one with save_checkpoint(net, path)");
  try {
    const end = endOfDirectory(view);
    if (end === null) throw none;
    const count = view.getUint16(end + 10, true);
    if (count > MOST_MEMBERS) throw bad(`holds ${count} members: a network has nine`);
    let at = view.getUint32(end + 16, true);
    const found: Member[] = [];
    let total = 0;
    for (let i = 0; i < count; i++) {
      if (view.getUint32(at, true) !== 0x02014b50) throw none;
      const lengths = [28, 30, 32].map((where) => view.getUint16(at + where, true));
      const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + lengths[0]));
      const size = view.getUint32(at + 24, true);
      total += size;
      if (total > left()) throw bad("unpacks to more than any network on this page needs");
      const content = await unpack(bytes, view, at, size, name);
      found.push({ name, bytes: content });
      at += 46 + lengths[0] + lengths[1] + lengths[2];
    }
    return found;
  } catch (error) {
    // Beyond the file's end.
    if (error instanceof RangeError) throw bad("is cut off");
    throw error;
  }
}

/** Where the end of a zip file's directory begins; a comment may follow it. */
function endOfDirectory(view: DataView): number | null {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 66_000); at--) {
    if (view.getUint32(at, true) === 0x06054b50) return at;
  }
  return null;
}

async function unpack(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  size: number,
  name: string,
): Promise<Uint8Array> {
  const method = view.getUint16(at + 10, true);
  const packed = view.getUint32(at + 20, true);
  const local = view.getUint32(at + 42, true);
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + packed > bytes.length) throw bad("is cut off");
  const raw = bytes.subarray(start, start + packed);
  if (method !== 0 && method !== 8)
    throw bad(`packs “${shown(name)}” in a way that is unknown here`);
  const content = method === 0 ? raw : await inflate(raw, size, name);
  if (content.length !== size || crc32(content) !== view.getUint32(at + 16, true)) {
    throw bad(`is damaged: the checksum of “${shown(name)}” is wrong`);
  }
  return content;
}

/** Opens what `numpy.savez_compressed` packed; stops where it is longer than it says. */
async function inflate(raw: Uint8Array, size: number, name: string): Promise<Uint8Array> {
  const content = new Uint8Array(size);
  let at = 0;
  try {
    const stream = new Blob([raw as Uint8Array<ArrayBuffer>]).stream();
    const reader = stream.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (at + part.value.length > size) throw new Error("too long");
      content.set(part.value, at);
      at += part.value.length;
    }
  } catch {
    throw bad(`is damaged: “${shown(name)}” cannot be unpacked`);
  }
  return content.subarray(0, at);
}

const HEADER =
  /^\{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \((?:(\d+(?:, \d+)*),?)?\),? ?\}\s*$/;

function parseNpy(bytes: Uint8Array, name: string): NpyArray {
  const no = (how: string): LabError => bad(`holds an array “${shown(name)}” that ${how}`);
  const magic = [0x93, ...ascii("NUMPY"), 1];
  if (bytes.length < 10 || magic.some((byte, i) => bytes[i] !== byte))
    throw no("is not one of NumPy’s");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 10 + view.getUint16(8, true);
  const match = HEADER.exec(new TextDecoder().decode(bytes.subarray(10, start)));
  if (!match) throw no("cannot be read");
  const [, kind, fortran, axes] = match;
  const shape = axes ? axes.split(", ").map(Number) : [];
  if (kind !== "<f4" && kind !== "<i8") {
    throw no(
      `is of type ${shown(kind)} instead of float32: write it with save_checkpoint(net, path)`,
    );
  }
  if (fortran === "True" && shape.length > 1) throw no("is stored column by column");
  const count = shape.reduce((product, length) => product * length, 1);
  const each = kind === "<f4" ? 4 : 8;
  if (bytes.length !== start + each * count) throw no("is shorter or longer than it says");
  if (kind === "<i8") {
    return {
      shape,
      values: BigInt64Array.from({ length: count }, (_, i) =>
        view.getBigInt64(start + 8 * i, true),
      ),
    };
  }
  return {
    shape,
    values: Float32Array.from({ length: count }, (_, i) => view.getFloat32(start + 4 * i, true)),
  };
}
