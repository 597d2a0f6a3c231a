/** How long each redraw took, for whoever wants to know; see `performance` in the console. */

const MEASURE = "lab-redraw";
const MAX_MEASURES = 1000;

let measures = 0;

/** A redraw is done; `cause` is when the reader did what made it necessary. */
export function measureRedraw(cause: number): void {
  if (measures >= MAX_MEASURES) {
    performance.clearMeasures(MEASURE);
    measures = 0;
  }
  measures += 1;
  performance.measure(MEASURE, { start: cause, end: performance.now() });
}
