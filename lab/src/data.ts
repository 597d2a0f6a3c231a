/**
 * The files that the lab loads: the five checkpoints, and digits to train on.
 *
 * They lie beside the script, written when the site was built (`tools/lab_data.py`). Each
 * carries a checksum, so that a file that was cut off or changed on its way is refused, with a
 * message, and never shown as a network that behaves strangely.
 */

import { LabError } from "./errors.ts";
import { FOLDER, readFile, WHAT_TO_DO } from "./files.ts";
import {
  BOOK,
  copyWeights,
  IMAGE_SIZE_FLAT,
  numParameters,
  shapes,
  size,
  WEIGHT_NAMES,
  type Weights,
  zeroWeights,
} from "./network.ts";

/** The steps of training after which the networks were stored. */
export const CHECKPOINTS = [0, 1, 100, 1000, 10000] as const;

const loaded = new Map<number, Weights>();

/**
 * Loads the book's network as it was after that many steps. The weights are a copy of your own,
 * to be changed at will; a second call loads them without another request.
 *
 * @throws {LabError} "missing" or "damaged"; "invalid" if there is no such checkpoint.
 */
export async function loadCheckpoint(iterations: number, folder: URL = FOLDER): Promise<Weights> {
  if (!CHECKPOINTS.some((known) => known === iterations)) {
    throw new LabError(
      "invalid",
      `There is no checkpoint at ${iterations} steps, only at ${CHECKPOINTS.join(", ")}.`,
    );
  }
  let w = loaded.get(iterations);
  if (w === undefined) {
    const name = `checkpoints/${iterations}.bin`;
    w = parseCheckpoint(await readFile(name, folder), name);
    loaded.set(iterations, w);
  }
  return copyWeights(w);
}

/**
 * Reads a checkpoint: little-endian float32 numbers, one array of weights after the other in
 * the order of `WEIGHT_NAMES`, and the CRC-32 of all that.
 */
export function parseCheckpoint(bytes: ArrayBuffer, name: string): Weights {
  const length = 4 * numParameters(BOOK);
  if (bytes.byteLength !== length + 4) {
    throw damaged(name, `it has ${bytes.byteLength} bytes, expected ${length + 4}`);
  }
  const view = new DataView(bytes);
  if (view.getUint32(length, true) !== crc32(new Uint8Array(bytes, 0, length))) {
    throw damaged(name, "its checksum is wrong");
  }
  const w = zeroWeights(BOOK);
  let start = 0;
  for (const key of WEIGHT_NAMES) {
    const count = size(shapes(BOOK)[key]);
    for (let i = 0; i < count; i++) w[key][i] = view.getFloat32(start + 4 * i, true);
    if (!w[key].every(Number.isFinite)) throw damaged(name, "a number in it is not finite");
    start += 4 * count;
  }
  return w;
}

/** Images as bytes `[n][784]`, 0 background to 255 full ink, and labels `[n]`. */
export interface Digits {
  images: Uint8Array;
  labels: Uint8Array;
}

/** What {@link loadDigits} gives. */
export interface DigitSets {
  /** MNIST, or scikit-learn's small set that stands in for it. */
  source: "mnist" | "digits";
  train: Digits;
  test: Digits;
  /** Bytes of all of MNIST's files where this site has them (`mnist.ts`); otherwise 0. */
  mnistBytes?: number;
  /** Images in the book's training split, over which `train` is spread; else all of `train`. */
  trainOf?: number;
}

/**
 * Loads the digits to train on.
 *
 * @throws {LabError} "missing" or "damaged".
 */
export async function loadDigits(folder: URL = FOLDER): Promise<DigitSets> {
  const text = new TextDecoder().decode(await readFile("digits.json", folder));
  return parseDigits(text, await readFile("digits.bin", folder));
}

/**
 * Reads digits: `digits.bin` holds the training images, the test images, the training labels
 * and the test labels, a byte for each number; `digits.json` says how many of each there are.
 */
export function parseDigits(json: string, bytes: ArrayBuffer): DigitSets {
  let about: Record<string, unknown>;
  try {
    about = JSON.parse(json) as Record<string, unknown>;
  } catch {
    throw damaged("digits.json", "it is not JSON");
  }
  const { source, train, test, crc32: checksum, mnistBytes = 0, trainOf = train } = about ?? {};
  if (
    (source !== "mnist" && source !== "digits") ||
    typeof train !== "number" ||
    typeof test !== "number" ||
    !Number.isInteger(train) ||
    !Number.isInteger(test) ||
    train < 1 ||
    test < 1 ||
    typeof mnistBytes !== "number" ||
    typeof trainOf !== "number"
  ) {
    throw damaged("digits.json", "it does not say what digits.bin holds");
  }
  const expected = (train + test) * (IMAGE_SIZE_FLAT + 1);
  if (bytes.byteLength !== expected) {
    throw damaged("digits.bin", `it has ${bytes.byteLength} bytes, expected ${expected}`);
  }
  if (checksum !== crc32(new Uint8Array(bytes))) {
    throw damaged("digits.bin", "its checksum is wrong");
  }
  let start = 0;
  const take = (length: number) => new Uint8Array(bytes, (start += length) - length, length);
  const trainImages = take(train * IMAGE_SIZE_FLAT);
  const testImages = take(test * IMAGE_SIZE_FLAT);
  const sets: DigitSets = {
    source,
    mnistBytes,
    trainOf,
    train: { images: trainImages, labels: take(train) },
    test: { images: testImages, labels: take(test) },
  };
  for (const { labels } of [sets.train, sets.test]) {
    if (labels.some((label) => label > 9))
      throw damaged("digits.bin", "a label in it is not a digit");
  }
  return sets;
}

function damaged(name: string, how: string): LabError {
  return new LabError("damaged", `The file ${name} is damaged: ${how}. ${WHAT_TO_DO}`);
}

/** The checksum that zip and PNG files use (ISO 3309), as Python's `zlib.crc32` gives it. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
