/**
 * A photograph of a digit: chosen, taken, pasted or dropped, prepared in the page, and laid on the
 * paper with the steps of its preparation. It never leaves the page.
 */

import { isLabError, LabError } from "../errors.ts";
import { FOLDER, runScript, WHAT_TO_DO } from "../files.ts";
import type { Photograph } from "../photo/prepare.ts";
import type {} from "../photo/script.ts";
import { element, quietButton } from "./dom.ts";

export interface PhotoActions {
  /** A photograph is prepared; `shown` are the steps, to be laid on the paper. */
  lay(image: Float32Array, shown: HTMLElement): void;
  /** A photograph is being prepared, which may take a second or two. */
  busy(): void;
  problem(text: string): void;
}

/** Buttons for a file and, where the pointer is a finger, for the camera. */
export function photoButtons(take: (file: File) => void): HTMLElement[] {
  const ask = (name: string, kind: string, attributes: Record<string, string>): HTMLElement => {
    // It opens the system's own file picker, or its camera: the page needs no permission.
    const input = element("input", {
      type: "file",
      accept: "image/*",
      hidden: true,
      ...attributes,
    });
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      // The same file may be chosen again.
      input.value = "";
      if (file) take(file);
    });
    const open = quietButton(name, () => input.click());
    open.title = "A photograph of a digit, read here and sent nowhere";
    return element("span", { class: kind }, open, input);
  };
  return [
    ask("Photo", "lab-photo-file", {}),
    ask("Camera", "lab-photo-camera", { capture: "environment" }),
  ];
}

/** Take a photograph that is pasted anywhere, or dropped on an element. */
export function watchPhotos(root: HTMLElement, take: (file: File) => void): void {
  const first = (data: DataTransfer | null): File | undefined =>
    Array.from(data?.files ?? []).find(({ type }) => type.startsWith("image/"));
  document.addEventListener("paste", (event) => {
    const file = first(event.clipboardData);
    if (file) take(file);
  });
  root.addEventListener("dragover", (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
  root.addEventListener("drop", (event) => {
    const file = first(event.dataTransfer);
    if (!file) return;
    // Without this the browser would leave the page for the file.
    event.preventDefault();
    take(file);
  });
}

export class Photos {
  /** The latest request: an earlier one that comes late is dropped. */
  private latest: File | null = null;

  constructor(private readonly actions: PhotoActions) {}

  async take(file: File): Promise<void> {
    this.latest = file;
    try {
      const pixels = await decode(file);
      if (this.latest !== file) return;
      this.actions.busy();
      await Promise.all([drawn(), loadPreparation()]);
      if (this.latest !== file) return;
      const photograph = window.labPrepare!(pixels);
      this.actions.lay(photograph.image, steps(photograph));
    } catch (error) {
      if (!isLabError(error)) throw error;
      this.actions.problem(error.message);
    }
  }
}

/** @throws {LabError} "missing" where the script cannot be had. */
async function loadPreparation(): Promise<void> {
  if (window.labPrepare) return;
  await runScript(new URL("photo.js", FOLDER)).catch((error: Error) => {
    const problem = `The script that prepares photographs could not be loaded: ${error.message}.`;
    throw new LabError("missing", `${problem} ${WHAT_TO_DO}`);
  });
}

/** Wait until the page shows what it was told to. */
function drawn(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

/** @throws {LabError} "invalid" for what is not a picture that the browser knows. */
async function decode(file: File): Promise<ImageData> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new LabError(
      "invalid",
      `“${file.name}” is not a picture that this browser can read: save it as JPEG or PNG first.`,
    );
  }
  const { width, height } = bitmap;
  const context = element("canvas", { width, height }).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

/** The four steps from the photograph to the network's picture. */
function steps({ grey, ink, image }: Photograph): HTMLElement {
  const box = boxOf(image);
  return element(
    "div",
    { class: "lab-photo-steps" },
    step("grey", grey.height, grey.width, (row, column) => grey.values[row * grey.width + column]),
    step("inverted", ink.height, ink.width, (row, column) => ink.values[row * ink.width + column]),
    step("fitted", 20, 20, (row, column) => image[(box.top + row) * 28 + box.left + column] ?? 0),
    step("centred", 28, 28, (row, column) => image[row * 28 + column]),
  );
}

/** Where the box of 20×20 begins that holds all ink. */
function boxOf(image: Float32Array): { top: number; left: number } {
  const inked = Array.from(image.keys()).filter((at) => image[at] > 0);
  const first = (places: number[]): number => Math.min(Math.min(...places), 8);
  return {
    top: first(inked.map((at) => Math.floor(at / 28))),
    left: first(inked.map((at) => at % 28)),
  };
}

function step(
  name: string,
  height: number,
  width: number,
  at: (row: number, column: number) => number,
): HTMLElement {
  const canvas = element("canvas", { width, height, role: "img", "aria-label": `${name} picture` });
  const picture = new ImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  pixels.forEach((_, i) => {
    const light = Math.round(255 * at(Math.floor(i / width), i % width));
    pixels[i] = ((255 << 24) | (light << 16) | (light << 8) | light) >>> 0;
  });
  canvas.getContext("2d")!.putImageData(picture, 0, 0);
  return element("figure", {}, canvas, element("figcaption", {}, name));
}
