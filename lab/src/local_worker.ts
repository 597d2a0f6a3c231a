/**
 * Where the page trains: in a worker or, where browsers refuse one because the page was opened
 * straight from a folder (`file:`), in the page itself.
 *
 * There `worker.local.js`, which is `worker.ts` built as a plain script, talks to the page through
 * a channel as a worker does. It yields after each step, so that the page can draw in between.
 */

import { isLocal, runScript } from "./files.ts";

declare global {
  interface Window {
    /** What takes the place of a worker's `self` in `worker.local.js`, while it is loaded. */
    labWorkerScope?: MessagePort;
  }
}

/** What the page needs of a worker. */
export interface Thread {
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  postMessage(order: unknown): void;
  terminate(): void;
}

/** Opens a worker whose script lies there, or what takes its place. */
export function openThread(url: URL): Thread {
  return isLocal(url) ? new LocalWorker(url) : new Worker(url, { type: "module" });
}

class LocalWorker implements Thread {
  onerror: ((event: ErrorEvent) => void) | null = null;
  readonly #port: MessagePort;

  constructor(url: URL) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    // What is sent before the script listens waits in the channel.
    window.labWorkerScope = port2;
    runScript(new URL(url.href.replace(/\.js$/, ".local.js"))).catch((error: Error) =>
      this.onerror?.(new ErrorEvent("error", { message: error.message })),
    );
  }

  get onmessage(): ((event: MessageEvent) => void) | null {
    return this.#port.onmessage;
  }

  set onmessage(listen: ((event: MessageEvent) => void) | null) {
    this.#port.onmessage = listen;
  }

  postMessage(order: unknown): void {
    this.#port.postMessage(order);
  }

  terminate(): void {
    this.#port.postMessage({ type: "pause" });
    this.#port.close();
  }
}
