/**
 * Training that was interrupted, kept in the reader's own browser (IndexedDB) so that it can go on
 * after a reload. Where the browser keeps nothing, as in some private windows, nothing is kept.
 */

import type { Weights } from "./network.ts";
import type { TrainerOptions } from "./trainer.ts";

/** All that training needs to go on. */
export interface SavedTraining {
  options: TrainerOptions;
  iteration: number;
  /** What it has taken so far. */
  seconds: number;
  weights: Weights;
  /** Adam's memory. */
  means: Weights;
  squares: Weights;
}

const STORE = "training";
const KEY = "latest";
/** The same without the large arrays, so that a page learns quickly whether there is something. */
const ABOUT = "about";

export type AboutTraining = Pick<SavedTraining, "options" | "iteration" | "seconds">;
/** Counts up whenever what is kept changes its form: what is older is then let go. */
const VERSION = 1;
/** Milliseconds that training waits for a storage that does not answer: another page may hold it. */
const PATIENCE = 3000;

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("mnist-lab", VERSION);
    request.onupgradeneeded = () => {
      const { result } = request;
      if (result.objectStoreNames.contains(STORE)) result.deleteObjectStore(STORE);
      result.createObjectStore(STORE);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("another page of the book holds an older form"));
  });
}

function ask<Result>(
  mode: IDBTransactionMode,
  action: (store: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const late = new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error("the browser's storage does not answer")), PATIENCE),
  );
  return Promise.race([answer(mode, action), late]);
}

async function answer<Result>(
  mode: IDBTransactionMode,
  action: (store: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const database = await open();
  try {
    return await new Promise<Result>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = action(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Keeps it, in place of what was kept before; `false` where the browser keeps nothing. */
export async function keepTraining(saved: SavedTraining): Promise<boolean> {
  const { options, iteration, seconds } = saved;
  const about: AboutTraining = { options, iteration, seconds };
  return ask("readwrite", (store) => {
    store.put(about, ABOUT);
    return store.put(saved, KEY);
  }).then(
    () => true,
    () => false,
  );
}

/** What was kept last; `null` if there is nothing, or it cannot be had. */
export const keptTraining = (): Promise<SavedTraining | null> => read(KEY);

/** How far it had come. */
export const aboutKept = (): Promise<AboutTraining | null> => read(ABOUT);

async function read<Kept>(key: string): Promise<Kept | null> {
  return ask("readonly", (store) => store.get(key) as IDBRequest<Kept | undefined>).then(
    (found) => found ?? null,
    () => null,
  );
}
