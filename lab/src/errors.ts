/** What can go wrong, in a form that the page can show. */

export type Problem =
  | "missing" // a file is not there, or the server cannot be reached
  | "damaged" // a file is there, but is not what was written
  | "unsupported" // the browser lacks something
  | "invalid" // a choice that the network cannot be built with
  | "diverged"; // training went astray: the loss is no longer a number

/** An error with a message for the reader: what happened, and what to do. */
export class LabError extends Error {
  override readonly name = "LabError";

  constructor(
    readonly problem: Problem,
    message: string,
  ) {
    super(message);
  }
}

/** Whether it is such an error; one from another of the page's scripts is of that script's class. */
export function isLabError(error: unknown): error is LabError {
  return error instanceof Error && error.name === "LabError";
}
