/** Arrow keys in a grid of elements, of which one at a time is reached by Tab. */

import { setAttribute } from "./dom.ts";

/**
 * Let arrow keys, Home and End move the focus among `cells`, which stand in rows of `columns`;
 * Enter, Space and a click call `onactivate`.
 */
export function rove(
  cells: HTMLElement[],
  columns: number,
  onactivate: (index: number) => void,
): void {
  const reach = (index: number): void =>
    cells.forEach((cell, i) => setAttribute(cell, "tabindex", i === index ? 0 : -1));
  reach(0);
  cells.forEach((cell, index) => {
    cell.addEventListener("focus", () => reach(index));
    cell.addEventListener("click", () => onactivate(index));
    cell.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const column = index % columns;
      let next: number;
      switch (event.key) {
        case "ArrowLeft":
          next = column > 0 ? index - 1 : index;
          break;
        case "ArrowRight":
          next = column < columns - 1 ? index + 1 : index;
          break;
        case "ArrowUp":
          next = index - columns;
          break;
        case "ArrowDown":
          next = index + columns;
          break;
        case "Home":
          next = 0;
          break;
        case "End":
          next = cells.length - 1;
          break;
        case "Enter":
        case " ":
          event.preventDefault();
          onactivate(index);
          return;
        default:
          return;
      }
      event.preventDefault();
      cells[next]?.focus();
    });
  });
}
