/** Arrow keys in a grid of elements, of which one at a time is reached by Tab. */

import { ARROWS, isShortcut, setAttribute } from "./dom.ts";

/**
 * Let arrow keys, Home and End move the focus among `cells`, which stand in rows of `columns`, and
 * call `onreach`; Enter, Space and a click call `onactivate`.
 */
export function rove(
  cells: HTMLElement[],
  columns: number,
  onactivate: (index: number) => void,
  onreach: (index: number) => void = () => {},
): void {
  const reach = (index: number): void =>
    cells.forEach((cell, i) => setAttribute(cell, "tabindex", i === index ? 0 : -1));
  reach(0);
  cells.forEach((cell, index) => {
    cell.addEventListener("focus", () => reach(index));
    cell.addEventListener("click", () => onactivate(index));
    cell.addEventListener("keydown", (event) => {
      if (isShortcut(event)) return;
      const arrow = ARROWS[event.key];
      let next: number;
      if (arrow) {
        const column = (index % columns) + arrow[0];
        next = column >= 0 && column < columns ? index + arrow[0] + columns * arrow[1] : index;
      } else if (event.key === "Home") next = 0;
      else if (event.key === "End") next = cells.length - 1;
      else if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        onactivate(index);
        return;
      } else return;
      event.preventDefault();
      if (!cells[next]) return;
      cells[next].focus();
      onreach(next);
    });
  });
}
