/**
 * All of MNIST, where the machine that built the site had it: four files, fetched when a reader
 * asks for them, 11 MB in all.
 *
 * They are in the IDX format (described in `mnist_helpers/data.py`) and compressed by gzip, under
 * names that do not say so, because some hosts would decode them on the way and some not.
 */

import { type Digits, type DigitSets } from "./data.ts";
import { FOLDER, isLocal, WHAT_TO_DO } from "./files.ts";
import { LabError } from "./errors.ts";
import { IMAGE_SIZE_FLAT } from "./network.ts";
import { sha256 } from "./sha256.ts";

interface IdxFile {
  name: string;
  items: number;
  /** Bytes before the values, and of each item. */
  header: number;
  each: number;
  /** Of the uncompressed bytes. */
  sha256: string;
}

const images = (name: string, items: number, hash: string): IdxFile => ({
  name,
  items,
  header: 16,
  each: IMAGE_SIZE_FLAT,
  sha256: hash,
});
const labels = (name: string, items: number, hash: string): IdxFile => ({
  ...images(name, items, hash),
  header: 8,
  each: 1,
});

/** The labels first: a missing file is noticed soonest. */
export const MNIST_FILES: readonly IdxFile[] = [
  labels(
    "test-labels.bin",
    10_000,
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
  ),
  labels(
    "train-labels.bin",
    60_000,
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  ),
  images(
    "test-images.bin",
    10_000,
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  ),
  images(
    "train-images.bin",
    60_000,
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  ),
];

/** As in the book, the first 5,000 images of the training file are for validation. */
const VALIDATION = 5_000;

/**
 * Loads all of MNIST: the book's 55,000 images to train on, and 10,000 to test.
 *
 * @param onprogress Called with the number of compressed bytes so far.
 * @throws {LabError} "missing", "damaged", or "unsupported" where the browser cannot open gzip.
 */
export async function loadMnist(
  onprogress: (bytes: number) => void = () => {},
  folder: URL = FOLDER,
): Promise<DigitSets> {
  if (typeof DecompressionStream === "undefined") {
    throw new LabError(
      "unsupported",
      "This browser is too old to open MNIST's files: it has no DecompressionStream. " +
        "Train with the 6,000 digits instead.",
    );
  }
  if (isLocal(folder)) {
    throw new LabError(
      "unsupported",
      "From a folder, without a server, a browser cannot open MNIST’s files. Train with the digits that are here.",
    );
  }
  let loaded = 0;
  const count = (bytes: number): void => onprogress((loaded += bytes));
  const contents: Uint8Array[] = [];
  for (const file of MNIST_FILES) contents.push(await loadFile(file, folder, count));
  const [testLabels, trainLabels, testImages, trainImages] = contents;
  const train: Digits = {
    images: trainImages.subarray(VALIDATION * IMAGE_SIZE_FLAT),
    labels: trainLabels.subarray(VALIDATION),
  };
  return { source: "mnist", train, test: { images: testImages, labels: testLabels } };
}

async function loadFile(
  file: IdxFile,
  folder: URL,
  count: (bytes: number) => void,
): Promise<Uint8Array> {
  const body = await open(file.name, folder);
  const counted = body.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(piece, to) {
        count(piece.length);
        to.enqueue(piece);
      },
    }),
  );
  const length = file.header + file.items * file.each;
  const bytes = new Uint8Array(length);
  let at = 0;
  try {
    const reader = counted.pipeThrough(new DecompressionStream("gzip")).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (at + part.value.length > length) throw new Error("it is too long");
      bytes.set(part.value, at);
      at += part.value.length;
    }
    if (at < length) throw new Error("it is cut off");
    if (sha256(bytes) !== file.sha256) throw new Error("its SHA-256 is not MNIST’s");
  } catch (error) {
    const how = error instanceof Error ? error.message : String(error);
    throw new LabError("damaged", `The file ${file.name} is damaged: ${how}. ${WHAT_TO_DO}`);
  }
  return bytes.subarray(file.header);
}

async function open(name: string, folder: URL): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  let reason: string;
  try {
    const response = await fetch(new URL(`mnist/${name}`, folder));
    if (response.ok && response.body) return response.body;
    reason = `the server answered ${response.status}`;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  throw new LabError(
    "missing",
    `The file mnist/${name} could not be loaded: ${reason}. Try again, or train with the 6,000 digits.`,
  );
}
