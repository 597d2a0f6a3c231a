/** Which pieces of ink are the digit, as `mnist_helpers/handwriting.py` decides it. */

/** A connected piece of ink; `bottom` and `right` are one past its last row and column. */
export interface Mark {
  label: number;
  area: number;
  top: number;
  bottom: number;
  left: number;
  right: number;
}

/** Shares of the digit's size: a smaller mark is a speck; a large one farther away a second digit. */
const SPECK = 0.08;
const RIVAL = 0.5;
/** More is allowed up and down, for the bar of a 5. */
const GAP_ACROSS = 0.15;
const GAP_DOWN = 0.3;
/** At most this many pieces are looked at, those with the most ink. */
const MOST_MARKS = 100;
/** A mark along the picture's edge for more than this share of its shorter side is not a digit. */
const EDGE = 0.4;

/** The longer side of some marks together. */
export function sizeOf(...marks: Mark[]): number {
  const span = (low: "top" | "left", high: "bottom" | "right"): number =>
    Math.max(...marks.map((mark) => mark[high])) - Math.min(...marks.map((mark) => mark[low]));
  return Math.max(span("top", "bottom"), span("left", "right"));
}

/** The pieces of ink, the one with the most ink first, without specks and the picture's edges. */
export function marksOf(labels: Int32Array, count: number, height: number, width: number): Mark[] {
  const all = Array.from({ length: count }, (_, i): Mark => {
    return { label: i + 1, area: 0, top: height, bottom: 0, left: width, right: 0 };
  });
  labels.forEach((label, at) => {
    if (!label) return;
    const [mark, row, column] = [all[label - 1], Math.floor(at / width), at % width];
    mark.area += 1;
    mark.top = Math.min(mark.top, row);
    mark.bottom = row + 1;
    mark.left = Math.min(mark.left, column);
    mark.right = Math.max(mark.right, column + 1);
  });
  const marks = all.sort((a, b) => b.area - a.area).slice(0, MOST_MARKS);
  // The table beside the paper, a scanner's black margin, the lines of a form's box.
  const isEdge = marks.map(({ label }) => shareOfEdge(labels, label, height, width) > EDGE);
  let others = marks.filter((_, i) => !isEdge[i]);
  if (others.length === 0)
    others = marks.filter(({ label }) => !isInMargin(labels, label, height, width));
  return others.filter((mark) => sizeOf(mark) >= SPECK * sizeOf(others[0]));
}

/** How much of the picture's edge belongs to a mark, relative to the shorter side. */
function shareOfEdge(labels: Int32Array, label: number, height: number, width: number): number {
  let count = 0;
  for (let column = 0; column < width; column += 1) {
    if (labels[column] === label) count += 1;
    if (labels[(height - 1) * width + column] === label) count += 1;
  }
  for (let row = 1; row < height - 1; row += 1) {
    if (labels[row * width] === label) count += 1;
    if (labels[row * width + width - 1] === label) count += 1;
  }
  return count / Math.min(height, width);
}

/** Whether no pixel of a mark lies more than a tenth of the picture from its edge. */
function isInMargin(labels: Int32Array, label: number, height: number, width: number): boolean {
  const margin = Math.floor(Math.min(height, width) / 10);
  if (margin === 0) return true;
  for (let row = margin; row < height - margin; row += 1)
    for (let column = margin; column < width - margin; column += 1)
      if (labels[row * width + column] === label) return false;
  return true;
}

/** The largest mark with the pieces that belong to it, and how many large ones lie apart. */
export function oneDigit(marks: Mark[]): { digit: Mark[]; rivals: number } {
  const digit = marks.slice(0, 1);
  let rest = marks.slice(1);
  const size = sizeOf(digit[0]);
  for (;;) {
    const near = rest.filter((mark) => digit.some((piece) => belongs(mark, piece, size)));
    if (near.length === 0) break;
    digit.push(...near);
    rest = rest.filter((mark) => !near.includes(mark));
  }
  return { digit, rivals: rest.filter((mark) => sizeOf(mark) >= RIVAL * size).length };
}

function belongs(mark: Mark, piece: Mark, size: number): boolean {
  const down = Math.max(mark.top, piece.top) - Math.min(mark.bottom, piece.bottom);
  const across = Math.max(mark.left, piece.left) - Math.min(mark.right, piece.right);
  return down <= GAP_DOWN * size && across <= GAP_ACROSS * size;
}
