/**
 * What is done with the pixels of a photograph: the few operations of SciPy's `ndimage` that
 * `mnist_helpers/handwriting.py` uses, with the same results.
 *
 * A raster is flat and row-major, with a height and a width.
 */

export interface Raster<Values extends { length: number; [index: number]: number }> {
  height: number;
  width: number;
  values: Values;
}

export type Numbers = Raster<Float32Array<ArrayBuffer>>;
/** 1 where it is so, 0 elsewhere. */
export type Mask = Raster<Uint8Array<ArrayBuffer>>;

export function numbers(height: number, width: number): Numbers {
  return { height, width, values: new Float32Array(height * width) };
}

export function mask(height: number, width: number): Mask {
  return { height, width, values: new Uint8Array(height * width) };
}

/** Round as Python does: a half goes to the even number. */
export function roundEven(value: number): number {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/** The values below which these shares of all lie, by linear interpolation. */
export function quantiles(values: Float32Array, ...shares: number[]): number[] {
  const sorted = values.slice().sort();
  return shares.map((share) => {
    const at = share * (sorted.length - 1);
    const low = Math.floor(at);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  });
}

/** The largest number in a stretch around each of `count`: `before` places back to `after` on. */
function largestInLine(
  from: Float32Array,
  to: Float32Array,
  start: number,
  step: number,
  count: number,
  [before, after]: readonly [number, number],
): void {
  // The places that may still be the largest of a stretch, their numbers falling.
  const queue = new Int32Array(count);
  let [head, tail, next] = [0, 0, 0];
  for (let i = 0; i < count; i += 1) {
    for (; next < Math.min(count, i + after + 1); next += 1) {
      while (tail > head && from[start + queue[tail - 1] * step] <= from[start + next * step])
        tail -= 1;
      queue[tail++] = next;
    }
    while (queue[head] < i - before) head += 1;
    to[start + i * step] = from[start + queue[head] * step];
  }
}

/**
 * At each place the largest number of the square of `side` around it, as far as it lies in the
 * raster. A square with an even side reaches further up and left.
 */
export function largestAround({ height, width, values }: Numbers, side: number): Numbers {
  const reach = [side >> 1, side - 1 - (side >> 1)] as const;
  const [lines, all] = [numbers(height, width), numbers(height, width)];
  for (let row = 0; row < height; row += 1)
    largestInLine(values, lines.values, row * width, 1, width, reach);
  for (let column = 0; column < width; column += 1)
    largestInLine(lines.values, all.values, column, width, height, reach);
  return all;
}

function negated({ height, width, values }: Numbers): Numbers {
  return { height, width, values: values.map((value) => -value) };
}

/** Beyond its edges a raster goes on with the numbers of its edge. */
export function withMargin({ height, width, values }: Numbers, margin: number): Numbers {
  const padded = numbers(height + 2 * margin, width + 2 * margin);
  const keep = (at: number, most: number): number => Math.min(Math.max(at - margin, 0), most - 1);
  for (let row = 0; row < padded.height; row += 1) {
    const from = keep(row, height) * width;
    for (let column = 0; column < padded.width; column += 1)
      padded.values[row * padded.width + column] = values[from + keep(column, width)];
  }
  return padded;
}

export function withoutMargin({ height, width, values }: Numbers, margin: number): Numbers {
  const inner = numbers(height - 2 * margin, width - 2 * margin);
  for (let row = 0; row < inner.height; row += 1) {
    const from = (row + margin) * width + margin;
    inner.values.set(values.subarray(from, from + inner.width), row * inner.width);
  }
  return inner;
}

/** A morphological closing by a square of 2·`half` + 1: what is dark and narrower vanishes. */
export function closing(raster: Numbers, half: number): Numbers {
  const side = 2 * half + 1;
  const widened = largestAround(withMargin(raster, half), side);
  return withoutMargin(negated(largestAround(negated(widened), side)), half);
}

/** The mean of the square of 2·`half` + 1 around each place; the edge goes on beyond itself. */
export function meanAround({ height, width, values }: Numbers, half: number): Float64Array {
  const side = 2 * half + 1;
  const along = (from: Float64Array, start: number, step: number, count: number): void => {
    const at = (i: number): number => from[start + Math.min(Math.max(i, 0), count - 1) * step];
    const means = new Float64Array(count);
    let sum = 0;
    for (let i = -half; i <= half; i += 1) sum += at(i);
    for (let i = 0; i < count; i += 1) {
      means[i] = sum / side;
      sum += at(i + half + 1) - at(i - half);
    }
    means.forEach((mean, i) => (from[start + i * step] = mean));
  };
  const result = Float64Array.from(values);
  for (let column = 0; column < width; column += 1) along(result, column, width, height);
  for (let row = 0; row < height; row += 1) along(result, row * width, 1, width);
  return result;
}

/** A mask on its side: rows become columns. */
export function transposed({ height, width, values }: Mask): Mask {
  const turned = mask(width, height);
  for (let row = 0; row < height; row += 1)
    for (let column = 0; column < width; column += 1)
      turned.values[column * height + row] = values[row * width + column];
  return turned;
}

/** Numbers the connected pieces of a mask from 1 on, diagonals included; 0 is no piece. */
export function pieces({ height, width, values }: Mask): { labels: Int32Array; count: number } {
  const labels = new Int32Array(values.length);
  const open: number[] = [];
  let count = 0;
  const reach = (at: number): void => {
    if (!values[at] || labels[at]) return;
    labels[at] = count;
    open.push(at);
  };
  for (let first = 0; first < values.length; first += 1) {
    if (!values[first] || labels[first]) continue;
    count += 1;
    reach(first);
    while (open.length > 0) {
      const at = open.pop()!;
      const [row, column] = [Math.floor(at / width), at % width];
      for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y += 1)
        for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x += 1)
          reach(y * width + x);
    }
  }
  return { labels, count };
}
