/**
 * The network's inner loops in AssemblyScript, compiled to WebAssembly with SIMD: each
 * instruction works on four float32 numbers at once.
 *
 * What is computed is what `src/network.ts` computes; read that first. Arrays are addresses
 * in one memory that `src/memory.ts` lays out. Counts of outputs and channels that are worked
 * on four at a time are multiples of four. All steps are given in numbers, not in bytes.
 */

import { filterGradient40, filterGradient8, inputGradient40, inputGradient8 } from "./filters";
import { addressOf, multiplyAdd, NUMBER, VECTOR } from "./vectors";

/**
 * Convolution, fully connected layer and matrix product in one.
 *
 * Output (p, j) is `bias[j]` plus the sum, over `rows` rows of `run` numbers each, of the
 * input times `weights[row * run + i][j]`. Row r of output p begins at
 * `(p / width) * lineStep + (p % width) * pixelStep + r * rowStep` of the input:
 *
 * - convolution: p is the pixel, `run` the filter's width times the input channels (they lie
 *   side by side), `rows` its height, `rowStep` a row of the padded image;
 * - fully connected: p is the image, with one row that is the whole of it;
 * - gradient of its weights: p is the input's number, with one row for each image.
 *
 * Four outputs p and eight (or four) j are computed at once: their sums stay in registers,
 * and every number that is loaded is used several times. (Twelve j would need more registers
 * than there are.)
 *
 * @param panel Room for `rows * run * 8` numbers, or 0. With it, the weights of the eight j are
 *   first put side by side: worth it when many p use them, for a cache does badly with
 *   numbers that lie far apart.
 */
export function multiply(
  input: usize, width: i32, lineStep: i32, pixelStep: i32, count: i32,
  rows: i32, rowStep: i32, run: i32,
  weights: usize, bias: usize, numOutputs: i32, output: usize, panel: usize,
): void {
  const zero = f32x4.splat(0);
  const skip = <usize>(rowStep - run) * NUMBER;
  let j = 0;
  while (j < numOutputs) {
    const wide = j + 8 <= numOutputs;
    const biasJ = addressOf(bias, j);
    const b0 = bias != 0 ? v128.load(biasJ) : zero;
    const b1 = bias != 0 && wide ? v128.load(biasJ, VECTOR) : zero;
    let weightsJ = addressOf(weights, j);
    let weightStep = <usize>numOutputs * NUMBER;
    if (panel != 0) {
      pack(weightsJ, weightStep, rows * run, wide, panel);
      weightsJ = panel;
      weightStep = wide ? 2 * VECTOR : VECTOR;
    }
    for (let p = 0; p < count; p += 4) {
      // At the end the last p is computed more than once, which is simpler than fewer of them.
      const p1 = min(p + 1, count - 1);
      const p2 = min(p + 2, count - 1);
      const p3 = min(p + 3, count - 1);
      let x0 = addressOf(input, (p / width) * lineStep + (p % width) * pixelStep);
      let x1 = addressOf(input, (p1 / width) * lineStep + (p1 % width) * pixelStep);
      let x2 = addressOf(input, (p2 / width) * lineStep + (p2 % width) * pixelStep);
      let x3 = addressOf(input, (p3 / width) * lineStep + (p3 % width) * pixelStep);
      let w = weightsJ;
      const y0 = addressOf(output, p * numOutputs + j);
      const y1 = addressOf(output, p1 * numOutputs + j);
      const y2 = addressOf(output, p2 * numOutputs + j);
      const y3 = addressOf(output, p3 * numOutputs + j);
      if (wide) {
        let s00 = b0, s01 = b1;
        let s10 = b0, s11 = b1;
        let s20 = b0, s21 = b1;
        let s30 = b0, s31 = b1;
        for (let row = 0; row < rows; row++) {
          for (let i = 0; i < run; i++) {
            const w0 = v128.load(w);
            const w1 = v128.load(w, VECTOR);
            const v0 = v128.load_splat<f32>(x0);
            s00 = multiplyAdd(s00, v0, w0);
            s01 = multiplyAdd(s01, v0, w1);
            const v1 = v128.load_splat<f32>(x1);
            s10 = multiplyAdd(s10, v1, w0);
            s11 = multiplyAdd(s11, v1, w1);
            const v2 = v128.load_splat<f32>(x2);
            s20 = multiplyAdd(s20, v2, w0);
            s21 = multiplyAdd(s21, v2, w1);
            const v3 = v128.load_splat<f32>(x3);
            s30 = multiplyAdd(s30, v3, w0);
            s31 = multiplyAdd(s31, v3, w1);
            x0 += NUMBER;
            x1 += NUMBER;
            x2 += NUMBER;
            x3 += NUMBER;
            w += weightStep;
          }
          x0 += skip;
          x1 += skip;
          x2 += skip;
          x3 += skip;
        }
        v128.store(y0, s00);
        v128.store(y0, s01, VECTOR);
        v128.store(y1, s10);
        v128.store(y1, s11, VECTOR);
        v128.store(y2, s20);
        v128.store(y2, s21, VECTOR);
        v128.store(y3, s30);
        v128.store(y3, s31, VECTOR);
      } else {
        let s00 = b0;
        let s10 = b0;
        let s20 = b0;
        let s30 = b0;
        for (let row = 0; row < rows; row++) {
          for (let i = 0; i < run; i++) {
            const w0 = v128.load(w);
            const v0 = v128.load_splat<f32>(x0);
            s00 = multiplyAdd(s00, v0, w0);
            const v1 = v128.load_splat<f32>(x1);
            s10 = multiplyAdd(s10, v1, w0);
            const v2 = v128.load_splat<f32>(x2);
            s20 = multiplyAdd(s20, v2, w0);
            const v3 = v128.load_splat<f32>(x3);
            s30 = multiplyAdd(s30, v3, w0);
            x0 += NUMBER;
            x1 += NUMBER;
            x2 += NUMBER;
            x3 += NUMBER;
            w += weightStep;
          }
          x0 += skip;
          x1 += skip;
          x2 += skip;
          x3 += skip;
        }
        v128.store(y0, s00);
        v128.store(y1, s10);
        v128.store(y2, s20);
        v128.store(y3, s30);
      }
    }
    j += wide ? 8 : 4;
  }
}

/** Puts eight (or four) numbers of each line side by side. */
function pack(from: usize, step: usize, lines: i32, wide: bool, to: usize): void {
  for (let line = 0; line < lines; line++) {
    v128.store(to, v128.load(from));
    if (wide) v128.store(to, v128.load(from, VECTOR), VECTOR);
    from += step;
    to += wide ? 2 * VECTOR : VECTOR;
  }
}

/**
 * 2×2 max-pooling (or none) and ReLU, from `[size][size][channels]` into rows that lie
 * `pooledStep` apart, so that the result may have zeros around it.
 *
 * @param winners For each result: where, in the convolution's padded input, the patch begins
 *   from which the winner came. From one output's patch to the next one's it is `patchStep`,
 *   to that of the output below `patchLine`.
 */
export function poolAndRelu(
  output: usize, size: i32, channels: i32, pooling: bool,
  pooled: usize, pooledStep: i32, winners: usize, patchStep: i32, patchLine: i32,
): void {
  const zero = f32x4.splat(0);
  const step = pooling ? 2 : 1;
  for (let row = 0; row < size; row += step) {
    let to = addressOf(pooled, (row / step) * pooledStep);
    for (let column = 0; column < size; column += step) {
      const first = addressOf(output, (row * size + column) * channels);
      const right = <usize>channels * NUMBER;
      const below = <usize>(size * channels) * NUMBER;
      const patch = row * patchLine + column * patchStep;
      const patch0 = i32x4.splat(patch);
      const patch1 = i32x4.splat(patch + patchStep);
      const patch2 = i32x4.splat(patch + patchLine);
      const patch3 = i32x4.splat(patch + patchLine + patchStep);
      for (let channel = 0; channel < channels; channel += 4) {
        const from = addressOf(first, channel);
        let largest = v128.load(from);
        let winner = patch0;
        if (pooling) {
          // Greater, not greater or equal: of equal numbers the first one wins.
          let other = v128.load(from + right);
          let wins = f32x4.gt(other, largest);
          largest = v128.bitselect(other, largest, wins);
          winner = v128.bitselect(patch1, winner, wins);
          other = v128.load(from + below);
          wins = f32x4.gt(other, largest);
          largest = v128.bitselect(other, largest, wins);
          winner = v128.bitselect(patch2, winner, wins);
          other = v128.load(from + below + right);
          wins = f32x4.gt(other, largest);
          largest = v128.bitselect(other, largest, wins);
          winner = v128.bitselect(patch3, winner, wins);
        }
        v128.store(to, f32x4.max(largest, zero));
        v128.store(winners, winner);
        to += VECTOR;
        winners += VECTOR;
      }
    }
  }
}

/** ReLU in place, on a multiple of four numbers. */
export function relu(array: usize, count: i32): void {
  const zero = f32x4.splat(0);
  const end = addressOf(array, count);
  for (; array < end; array += VECTOR) v128.store(array, f32x4.max(v128.load(array), zero));
}

/**
 * Back through ReLU: copies the derivatives `d` of `lines` lines, 0 where ReLU gave 0.
 * `values` (what ReLU gave) and `d` have lines `step` apart; those of the result touch.
 */
export function reluBackward(
  values: usize, d: usize, lines: i32, length: i32, step: i32, result: usize,
): void {
  const zero = f32x4.splat(0);
  const skip = <usize>(step - length) * NUMBER;
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < length; i += 4) {
      const passes = f32x4.gt(v128.load(values), zero);
      v128.store(result, v128.and(v128.load(d), passes));
      values += VECTOR;
      d += VECTOR;
      result += VECTOR;
    }
    values += skip;
    d += skip;
  }
}

/**
 * Back through pooling and convolution, for one image. Only the patch below each window's
 * winner gets a gradient.
 *
 * Filters, and their gradient, are here `[filter][row][run]`: the numbers of one filter's row
 * lie side by side as those of the image do. `run` is rounded up to a multiple of eight; what
 * is computed there comes out of the image's next numbers and is never used.
 *
 * @param d Derivative by the pooled output `[positions][filters]`, 0 where ReLU gave 0.
 * @param input The padded image, its rows `rowStep` apart.
 * @param gradient Added to, as is `biasGradient`.
 * @param dInput Derivative by the padded image, added to; 0 if nobody wants it.
 * @param list Room for two numbers for each position.
 */
export function convolveBackward(
  d: usize, winners: usize, positions: i32, filters: i32,
  input: usize, rowStep: i32, rows: i32, run: i32,
  weights: usize, gradient: usize, biasGradient: usize, dInput: usize, list: usize,
): void {
  for (let filter = 0; filter < filters; filter++) {
    // The positions where this filter has a gradient: where the patch begins, and how much.
    let end = list;
    let sum: f32 = 0;
    for (let position = 0; position < positions; position++) {
      const place = position * filters + filter;
      const value = load<f32>(addressOf(d, place));
      if (value != 0) {
        store<i32>(end, load<i32>(addressOf(winners, place)) << 2);
        store<f32>(end, value, NUMBER);
        end += 2 * NUMBER;
        sum += value;
      }
    }
    const biasOfFilter = addressOf(biasGradient, filter);
    store<f32>(biasOfFilter, load<f32>(biasOfFilter) + sum);

    for (let row = 0; row < rows; row++) {
      const rowOfInput = addressOf(input, row * rowStep);
      const rowOfDInput = addressOf(dInput, row * rowStep);
      let offset: usize = 0;
      let left = run;
      while (left > 0) {
        const place = addressOf(0, (filter * rows + row) * run) + offset;
        const wide = left >= 40;
        if (wide) {
          filterGradient40(list, end, rowOfInput + offset, gradient + place);
          if (dInput != 0) inputGradient40(list, end, weights + place, rowOfDInput + offset);
        } else {
          filterGradient8(list, end, rowOfInput + offset, gradient + place);
          if (dInput != 0) inputGradient8(list, end, weights + place, rowOfDInput + offset);
        }
        left -= wide ? 40 : 8;
        offset += (wide ? 40 : 8) * NUMBER;
      }
    }
  }
}

/** `[rows][columns]` into `[columns][rows]`; both multiples of four. */
export function transpose(from: usize, rows: i32, columns: i32, to: usize): void {
  for (let row = 0; row < rows; row += 4) {
    for (let column = 0; column < columns; column += 4) {
      const x = addressOf(from, row * columns + column);
      const step = <usize>columns * NUMBER;
      const a = v128.load(x);
      const b = v128.load(x + step);
      const c = v128.load(x + 2 * step);
      const d = v128.load(x + 3 * step);
      const ab01 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const ab23 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cd01 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const cd23 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      const y = addressOf(to, column * rows + row);
      const line = <usize>rows * NUMBER;
      v128.store(y, v128.shuffle<f32>(ab01, cd01, 0, 1, 4, 5));
      v128.store(y + line, v128.shuffle<f32>(ab01, cd01, 2, 3, 6, 7));
      v128.store(y + 2 * line, v128.shuffle<f32>(ab23, cd23, 0, 1, 4, 5));
      v128.store(y + 3 * line, v128.shuffle<f32>(ab23, cd23, 2, 3, 6, 7));
    }
  }
}

/** Adds to `sums[columns]` the lines of `[lines][columns]`. */
export function addLines(from: usize, lines: i32, columns: i32, sums: usize): void {
  for (let column = 0; column < columns; column += 4) {
    let sum = v128.load(addressOf(sums, column));
    for (let line = 0; line < lines; line++) {
      sum = f32x4.add(sum, v128.load(addressOf(from, line * columns + column)));
    }
    v128.store(addressOf(sums, column), sum);
  }
}

/** One step of Adam on a multiple of four numbers; see `adamStep` in `src/network.ts`. */
export function adam(
  weights: usize, gradient: usize, mean: usize, square: usize, count: i32,
  rate: f32, oneMinusBeta1: f32, oneMinusBeta2: f32, epsilon: f32,
): void {
  const rates = f32x4.splat(rate);
  const ones1 = f32x4.splat(oneMinusBeta1);
  const ones2 = f32x4.splat(oneMinusBeta2);
  const epsilons = f32x4.splat(epsilon);
  const bytes = <usize>count * NUMBER;
  for (let i: usize = 0; i < bytes; i += VECTOR) {
    const g = v128.load(gradient + i);
    const m = multiplyAdd(v128.load(mean + i), ones1, f32x4.sub(g, v128.load(mean + i)));
    const v = multiplyAdd(
      v128.load(square + i), ones2, f32x4.sub(f32x4.mul(g, g), v128.load(square + i)),
    );
    v128.store(mean + i, m);
    v128.store(square + i, v);
    const move = f32x4.div(f32x4.mul(rates, m), f32x4.add(f32x4.sqrt(v), epsilons));
    v128.store(weights + i, f32x4.sub(v128.load(weights + i), move));
  }
}
