/**
 * Where the lab's files come from: the server or, where the page was opened straight from a folder
 * (`file:`), scripts.
 *
 * There browsers let a page load nothing but scripts, styles and pictures. So each file is there a
 * second time, `offline/NAME.js`, written when the site was built (`tools/lab_data.py`): a script
 * that puts the file's bytes, compressed and in letters, into `labFiles`.
 */

import { LabError } from "./errors.ts";

declare global {
  interface Window {
    labFiles?: Record<string, string>;
  }
}

/** Folder of the files: the script's own. */
export const FOLDER = new URL(".", import.meta.url);

export const WHAT_TO_DO = "Reload the page; if that does not help, the site must be built again.";

/** Whether the page was opened from a folder, without a server. */
export function isLocal(url: URL | string): boolean {
  return new URL(url).protocol === "file:";
}

/** Reads one of the lab's files. @throws {LabError} "missing", with the reason. */
export async function readFile(name: string, folder: URL = FOLDER): Promise<ArrayBuffer> {
  try {
    return await (isLocal(folder) ? fromScript(name, folder) : fromServer(new URL(name, folder)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LabError("missing", `The file ${name} could not be loaded: ${reason}. ${WHAT_TO_DO}`);
  }
}

async function fromServer(url: URL): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return response.arrayBuffer();
}

async function fromScript(name: string, folder: URL): Promise<ArrayBuffer> {
  await runScript(new URL(`offline/${name}.js`, folder));
  const letters = window.labFiles?.[name];
  if (letters === undefined) throw new Error("its script does not hold it");
  // It is needed once; the letters would stay for as long as the page does.
  delete window.labFiles![name];
  return inflate(Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0)));
}

/** Lets the page run a script. */
export function runScript(url: URL): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url.href;
    script.onload = () => resolve();
    script.onerror = () => reject(new Error("there is no such file"));
    document.head.append(script);
    script.remove();
  });
}

/** Opens what zlib compressed. @throws {Error} if the bytes are not all there, or changed. */
export async function inflate(bytes: BufferSource): Promise<ArrayBuffer> {
  const opened = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(opened).arrayBuffer();
}
