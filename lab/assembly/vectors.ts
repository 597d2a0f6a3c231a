/** What all kernels need: sizes, addresses, and a multiplication whose product is added. */

/** Bytes of one number; and of the four that a vector holds. */
export const NUMBER: usize = 4;
export const VECTOR: usize = 16;

// @ts-ignore: AssemblyScript's decorator
@inline
export function multiplyAdd(sum: v128, a: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(a, b));
}

// @ts-ignore: AssemblyScript's decorator
@inline
export function addressOf(array: usize, index: i32): usize {
  return array + (<usize>index << 2);
}
