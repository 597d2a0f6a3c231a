/** The drawing paper with what belongs to it. */

import { element, quietButton } from "./dom.ts";
import type { Drawing } from "./drawing.ts";

export function padOf(
  drawing: Drawing,
  { undo, clear }: { undo(): void; clear(): void },
  ...more: HTMLElement[]
): HTMLElement {
  const tools = element(
    "div",
    { class: "lab-pad-tools" },
    element("span", { class: "lab-pad-title" }, "Draw"),
    ...more,
    quietButton("Undo", undo),
    quietButton("Clear", clear),
  );
  return element("div", { class: "lab-pad" }, tools, drawing.root);
}
