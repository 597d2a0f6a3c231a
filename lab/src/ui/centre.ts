/**
 * From strokes to the picture that the network sees, prepared as MNIST's digits were.
 *
 * MNIST's authors took NIST's black and white scans of 128×128 pixels, scaled each digit,
 * keeping its proportions, until it just fitted a box of 20×20, which turned its rims grey,
 * and moved it in a field of 28×28 until its centre of mass lay in the middle. (LeCun,
 * Cortes and Burges, The MNIST database of handwritten digits.)
 */

/** A line of the pen: x and y of its points in turn, whole numbers from 0 to `PAPER_SIZE - 1`. */
export type Stroke = number[];

/** Width and height of the drawing paper in the strokes' units. */
export const PAPER_SIZE = 256;
/** Width of the pen in the same units; in the 20×20 box it becomes 2 to 3 pixels. */
export const PEN_WIDTH = 22;
/** Width and height of the scan, as at NIST. */
export const SCAN_SIZE = 128;

export const IMAGE_SIZE = 28;
const BOX_SIZE = 20;
/** Where the centre of mass comes to lie; in MNIST it is at most half a pixel from there. */
const MIDDLE = 14;

const UNIT = SCAN_SIZE / PAPER_SIZE;
const RADIUS = (PEN_WIDTH * UNIT) / 2;

/** Add a straight piece of a stroke to a scan `[SCAN_SIZE][SCAN_SIZE]`, 0 paper to 1 ink. */
export function addLine(scan: Float32Array, x0: number, y0: number, x1: number, y1: number): void {
  const [ax, ay, bx, by] = [x0 * UNIT, y0 * UNIT, x1 * UNIT, y1 * UNIT];
  const [dx, dy] = [bx - ax, by - ay];
  const lengthSquared = dx * dx + dy * dy;
  const reach = RADIUS + 1;
  const left = Math.max(0, Math.floor(Math.min(ax, bx) - reach));
  const right = Math.min(SCAN_SIZE - 1, Math.ceil(Math.max(ax, bx) + reach));
  const top = Math.max(0, Math.floor(Math.min(ay, by) - reach));
  const bottom = Math.min(SCAN_SIZE - 1, Math.ceil(Math.max(ay, by) + reach));
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) {
      const [px, py] = [column + 0.5 - ax, row + 0.5 - ay];
      const along = lengthSquared ? (px * dx + py * dy) / lengthSquared : 0;
      const nearest = along > 0 ? (along < 1 ? along : 1) : 0;
      const distance = Math.hypot(px - nearest * dx, py - nearest * dy);
      // A pixel that the pen's rim crosses is partly covered.
      const ink = Math.min(1, Math.max(0, RADIUS + 0.5 - distance));
      const at = row * SCAN_SIZE + column;
      if (ink > scan[at]) scan[at] = ink;
    }
  }
}

/** Add a stroke's piece that ends in its point number `point`. */
export function addPoint(scan: Float32Array, stroke: Stroke, point: number): void {
  const [x, y] = [stroke[2 * point], stroke[2 * point + 1]];
  if (point === 0) addLine(scan, x, y, x, y);
  else addLine(scan, stroke[2 * point - 2], stroke[2 * point - 1], x, y);
}

/** Strokes as a scan `[SCAN_SIZE][SCAN_SIZE]`, 0 paper to 1 ink. */
export function scanOf(strokes: readonly Stroke[]): Float32Array {
  const scan = new Float32Array(SCAN_SIZE * SCAN_SIZE);
  for (const stroke of strokes) {
    for (let point = 0; 2 * point < stroke.length; point += 1) addPoint(scan, stroke, point);
  }
  return scan;
}

/** The rows and columns that have ink: first, and one after the last. */
interface Bounds {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

function inkBounds(scan: Float32Array, height: number, width: number): Bounds | null {
  let [top, bottom, left, right] = [height, 0, width, 0];
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      if (scan[row * width + column] < 0.5) continue;
      top = Math.min(top, row);
      bottom = row + 1;
      left = Math.min(left, column);
      right = Math.max(right, column + 1);
    }
  }
  return bottom > 0 ? { top, bottom, left, right } : null;
}

/**
 * How wide the pen's line is in the network's picture, in pixels: a little under 2 for a digit as
 * large as the paper, 20 for a dot. 0 if there is no ink.
 */
export function lineWidth(scan: Float32Array): number {
  const bounds = inkBounds(scan, SCAN_SIZE, SCAN_SIZE);
  if (!bounds) return 0;
  const size = Math.max(bounds.bottom - bounds.top, bounds.right - bounds.left);
  return (PEN_WIDTH * UNIT * BOX_SIZE) / size;
}

/** How much of the source's cells each target cell covers: a list of (source, share) each. */
function overlaps(start: number, end: number, cells: number, step: number): [number, number][][] {
  return Array.from({ length: cells }, (_, cell) => {
    const [from, to] = [start + cell * step, Math.min(start + (cell + 1) * step, end)];
    const shares: [number, number][] = [];
    for (let source = Math.floor(from); source < to; source += 1) {
      const covered = Math.min(source + 1, to) - Math.max(source, from);
      if (covered > 0) shares.push([source, covered / step]);
    }
    return shares;
  });
}

/**
 * A scan `[scanHeight][scanWidth]` as the network sees it: `[28][28]`, 0 paper to 1 ink; all 0 if
 * there is no ink.
 *
 * Each pixel of the 20×20 box is the mean of the piece of the scan that it covers.
 */
export function centre(
  scan: Float32Array,
  scanHeight = SCAN_SIZE,
  scanWidth = SCAN_SIZE,
): Float32Array {
  const image = new Float32Array(IMAGE_SIZE * IMAGE_SIZE);
  const bounds = inkBounds(scan, scanHeight, scanWidth);
  if (!bounds) return image;
  const [height, width] = [bounds.bottom - bounds.top, bounds.right - bounds.left];
  const step = Math.max(height, width) / BOX_SIZE;
  const rows = overlaps(bounds.top, bounds.bottom, Math.ceil(height / step - 1e-9), step);
  const columns = overlaps(bounds.left, bounds.right, Math.ceil(width / step - 1e-9), step);

  const box = new Float64Array(rows.length * columns.length);
  let [mass, rowMoment, columnMoment] = [0, 0, 0];
  rows.forEach((rowShares, row) => {
    columns.forEach((columnShares, column) => {
      let ink = 0;
      for (const [y, share] of rowShares) {
        let line = 0;
        for (const [x, part] of columnShares) line += scan[y * scanWidth + x] * part;
        ink += line * share;
      }
      box[row * columns.length + column] = ink;
      mass += ink;
      rowMoment += ink * row;
      columnMoment += ink * column;
    });
  });

  // Whole pixels, so that the picture stays as sharp as it is; and never over the edge.
  const place = (moment: number, length: number): number =>
    Math.min(Math.max(MIDDLE - Math.round(moment / mass), 0), IMAGE_SIZE - length);
  const top = place(rowMoment, rows.length);
  const left = place(columnMoment, columns.length);
  for (let row = 0; row < rows.length; row += 1) {
    for (let column = 0; column < columns.length; column += 1) {
      image[(top + row) * IMAGE_SIZE + left + column] = Math.min(
        1,
        box[row * columns.length + column],
      );
    }
  }
  return image;
}
