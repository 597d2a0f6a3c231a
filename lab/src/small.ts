/**
 * A small copy of a checkpoint, a fifth of its size, for the first look.
 *
 * The weights of the second convolution have 8 bits and those of the first fully connected layer
 * 6; in each filter and each unit the largest weight decides the step between two of them. The
 * guesses stay the same, but not every digit of every number: so arithmetic waits for the whole
 * checkpoint (`data.ts`).
 */

import { LabError } from "./errors.ts";
import { FOLDER, inflate, readFile, WHAT_TO_DO } from "./files.ts";
import { BOOK, shapes, size, WEIGHT_NAMES, type Weights, zeroWeights } from "./network.ts";

/** The weights that are whole numbers of steps, a byte each. */
const IN_STEPS: ReadonlySet<keyof Weights> = new Set(["conv2/weights", "fc1/weights"]);

/**
 * Loads the small copy of the book's network after that many steps.
 *
 * @throws {LabError} "missing" or "damaged".
 */
export async function loadSmall(iterations: number, folder: URL = FOLDER): Promise<Weights> {
  const name = `small/${iterations}.bin`;
  const packed = await readFile(name, folder);
  try {
    return parseSmall(await inflate(packed));
  } catch {
    throw new LabError("damaged", `The file ${name} is damaged. ${WHAT_TO_DO}`);
  }
}

/**
 * Reads a small copy: the arrays in the order of `WEIGHT_NAMES`, little-endian float32 numbers; for
 * those in steps, first the size of a step for each output, then their counts as signed bytes.
 *
 * @throws {RangeError} if it is too short.
 */
export function parseSmall(bytes: ArrayBuffer): Weights {
  const view = new DataView(bytes);
  const w = zeroWeights(BOOK);
  let at = 0;
  const float = (): number => view.getFloat32((at += 4) - 4, true);
  for (const name of WEIGHT_NAMES) {
    const shape = shapes(BOOK)[name];
    if (!IN_STEPS.has(name)) {
      for (let i = 0; i < size(shape); i++) w[name][i] = float();
      continue;
    }
    const steps = Float32Array.from({ length: shape.at(-1)! }, float);
    for (let i = 0; i < size(shape); i++) {
      w[name][i] = view.getInt8(at++) * steps[i % steps.length];
    }
  }
  return w;
}
