/** Random numbers that are the same in every browser, for the same seed. */

/**
 * Makes a source of numbers from 0 (included) to 1 (excluded).
 *
 * The generator is sfc32 from Chris Doty-Humphrey's PractRand. Streams of one seed are
 * independent of each other: one for each layer's weights, one for the order of the images.
 */
export function randomNumbers(seed: number, stream: number): () => number {
  let a = seed | 0;
  let b = stream | 0;
  let c = 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // As PractRand starts: after this many rounds, similar seeds give unrelated numbers.
  for (let round = 0; round < 15; round++) next();
  return next;
}

/**
 * Fills an array with numbers from a normal distribution around 0, those further away than
 * two standard deviations drawn again (a truncated normal distribution).
 */
export function fillTruncatedNormal(
  array: Float32Array,
  standardDeviation: number,
  random: () => number,
): void {
  for (let i = 0; i < array.length; i++) {
    let z: number;
    do {
      // G. E. P. Box and M. E. Muller, "A Note on the Generation of Random Normal Deviates".
      z = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    } while (Math.abs(z) > 2);
    array[i] = z * standardDeviation;
  }
}

/** Puts the numbers in a random order (R. A. Fisher and F. Yates's shuffle). */
export function shuffle(numbers: Uint32Array, random: () => number): void {
  for (let last = numbers.length - 1; last > 0; last--) {
    const chosen = Math.floor(random() * (last + 1));
    const kept = numbers[last];
    numbers[last] = numbers[chosen];
    numbers[chosen] = kept;
  }
}
