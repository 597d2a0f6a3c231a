/** Back through a convolution: the innermost loops, over the places where a filter counted. */

import { multiplyAdd, NUMBER, VECTOR } from "./vectors";

/** Adds to 40 numbers of a filter's gradient: derivative times input, over the list. */
export function filterGradient40(list: usize, end: usize, input: usize, gradient: usize): void {
  let g0 = v128.load(gradient);
  let g1 = v128.load(gradient, VECTOR);
  let g2 = v128.load(gradient, 2 * VECTOR);
  let g3 = v128.load(gradient, 3 * VECTOR);
  let g4 = v128.load(gradient, 4 * VECTOR);
  let g5 = v128.load(gradient, 5 * VECTOR);
  let g6 = v128.load(gradient, 6 * VECTOR);
  let g7 = v128.load(gradient, 7 * VECTOR);
  let g8 = v128.load(gradient, 8 * VECTOR);
  let g9 = v128.load(gradient, 9 * VECTOR);
  for (; list < end; list += 2 * NUMBER) {
    const x = input + <usize>load<i32>(list);
    const d = v128.load_splat<f32>(list, NUMBER);
    g0 = multiplyAdd(g0, d, v128.load(x));
    g1 = multiplyAdd(g1, d, v128.load(x, VECTOR));
    g2 = multiplyAdd(g2, d, v128.load(x, 2 * VECTOR));
    g3 = multiplyAdd(g3, d, v128.load(x, 3 * VECTOR));
    g4 = multiplyAdd(g4, d, v128.load(x, 4 * VECTOR));
    g5 = multiplyAdd(g5, d, v128.load(x, 5 * VECTOR));
    g6 = multiplyAdd(g6, d, v128.load(x, 6 * VECTOR));
    g7 = multiplyAdd(g7, d, v128.load(x, 7 * VECTOR));
    g8 = multiplyAdd(g8, d, v128.load(x, 8 * VECTOR));
    g9 = multiplyAdd(g9, d, v128.load(x, 9 * VECTOR));
  }
  v128.store(gradient, g0);
  v128.store(gradient, g1, VECTOR);
  v128.store(gradient, g2, 2 * VECTOR);
  v128.store(gradient, g3, 3 * VECTOR);
  v128.store(gradient, g4, 4 * VECTOR);
  v128.store(gradient, g5, 5 * VECTOR);
  v128.store(gradient, g6, 6 * VECTOR);
  v128.store(gradient, g7, 7 * VECTOR);
  v128.store(gradient, g8, 8 * VECTOR);
  v128.store(gradient, g9, 9 * VECTOR);
}

/** The same for 8 numbers. */
export function filterGradient8(list: usize, end: usize, input: usize, gradient: usize): void {
  let g0 = v128.load(gradient);
  let g1 = v128.load(gradient, VECTOR);
  for (; list < end; list += 2 * NUMBER) {
    const x = input + <usize>load<i32>(list);
    const d = v128.load_splat<f32>(list, NUMBER);
    g0 = multiplyAdd(g0, d, v128.load(x));
    g1 = multiplyAdd(g1, d, v128.load(x, VECTOR));
  }
  v128.store(gradient, g0);
  v128.store(gradient, g1, VECTOR);
}

/** Adds derivative times 40 numbers of a filter to the input's derivative, over the list. */
export function inputGradient40(list: usize, end: usize, weights: usize, dInput: usize): void {
  const w0 = v128.load(weights);
  const w1 = v128.load(weights, VECTOR);
  const w2 = v128.load(weights, 2 * VECTOR);
  const w3 = v128.load(weights, 3 * VECTOR);
  const w4 = v128.load(weights, 4 * VECTOR);
  const w5 = v128.load(weights, 5 * VECTOR);
  const w6 = v128.load(weights, 6 * VECTOR);
  const w7 = v128.load(weights, 7 * VECTOR);
  const w8 = v128.load(weights, 8 * VECTOR);
  const w9 = v128.load(weights, 9 * VECTOR);
  for (; list < end; list += 2 * NUMBER) {
    const x = dInput + <usize>load<i32>(list);
    const d = v128.load_splat<f32>(list, NUMBER);
    v128.store(x, multiplyAdd(v128.load(x), d, w0));
    v128.store(x, multiplyAdd(v128.load(x, VECTOR), d, w1), VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 2 * VECTOR), d, w2), 2 * VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 3 * VECTOR), d, w3), 3 * VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 4 * VECTOR), d, w4), 4 * VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 5 * VECTOR), d, w5), 5 * VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 6 * VECTOR), d, w6), 6 * VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 7 * VECTOR), d, w7), 7 * VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 8 * VECTOR), d, w8), 8 * VECTOR);
    v128.store(x, multiplyAdd(v128.load(x, 9 * VECTOR), d, w9), 9 * VECTOR);
  }
}

/** The same for 8 numbers. */
export function inputGradient8(list: usize, end: usize, weights: usize, dInput: usize): void {
  const w0 = v128.load(weights);
  const w1 = v128.load(weights, VECTOR);
  for (; list < end; list += 2 * NUMBER) {
    const x = dInput + <usize>load<i32>(list);
    const d = v128.load_splat<f32>(list, NUMBER);
    v128.store(x, multiplyAdd(v128.load(x), d, w0));
    v128.store(x, multiplyAdd(v128.load(x, VECTOR), d, w1), VECTOR);
  }
}
