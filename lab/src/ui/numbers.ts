/** How the page writes numbers, the same everywhere. */

/** A true minus sign, as long as a plus. */
function minus(text: string): string {
  return text.replace("-", "−");
}

/** A number with `digits` decimals; never "−0.000". */
export function decimal(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return minus(String(value));
  const text = value.toFixed(digits);
  return minus(Number(text) === 0 ? text.replace("-", "") : text);
}

/** A number to be added to others: always with its sign. */
export function signed(value: number, digits = 3): string {
  const text = decimal(value, digits);
  return text.startsWith("−") ? text : `+${text}`;
}

/** A share in percent, with one decimal where that says something. */
export function percent(share: number): string {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "<0.1%";
  if (value < 100 && value > 99.9) return ">99.9%";
  return `${value.toFixed(1)}%`;
}

/** A whole number with thousands separated: 10,000. */
export function whole(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

/** The next round number at or above a positive one, so that a scale does not flicker. */
export function roundUp(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) {
    // The factor forgives the last bit of a float32.
    if (value <= step * power * 1.000001) return step * power;
  }
  return 10 * power;
}

/** "1 pixel", "2 pixels". */
export function plural(count: number, name: string): string {
  return `${whole(count)} ${name}${count === 1 ? "" : "s"}`;
}

/** "a 7", "an 8". */
export function aDigit(digit: number): string {
  return `${digit === 8 ? "an" : "a"} ${digit}`;
}
