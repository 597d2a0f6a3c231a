/**
 * One picture, enlarged: on a small screen the numbers of a picture are too small for a finger.
 *
 * Only shown where the layers stand below each other (`lab.css`).
 */

import { placeOf, type Cell } from "./cells.ts";
import { element } from "./dom.ts";
import { decimal } from "./numbers.ts";
import { layerScale, type State } from "./state.ts";
import { Tiles } from "./tiles.ts";

/** Width and height of a number: a finger's. */
const SIDE = 24;

export class Loupe {
  readonly root = element("div", { class: "lab-loupe", hidden: true });
  private readonly tiles: Tiles;
  private state: State | null = null;
  private cell: Cell | null = null;

  constructor(choose: (cell: Cell) => void) {
    this.tiles = new Tiles({
      label: "This picture, enlarged",
      describe: (index) => {
        const { row, column } = this.placeOf(index);
        return `row ${row}, column ${column}: ${decimal(this.values()[index] ?? 0)}`;
      },
      onchoose: (index) => {
        const [, , count = 1] = this.state!.shapes[this.cell!.layer];
        choose({ layer: this.cell!.layer, index: index * count + this.map });
      },
    });
    this.root.append(this.tiles.root);
  }

  show(state: State, cell: Cell | null): void {
    const layers = ["input", "conv1", "pool1", "conv2", "pool2"];
    const shown = cell && layers.includes(cell.layer) ? cell : null;
    this.root.hidden = shown === null;
    if (!shown) return;
    this.state = state;
    this.cell = shown;
    const [height, width, count = 1] = state.shapes[shown.layer];
    this.root.style.height = `${height * SIDE + 8}px`;
    this.tiles.arrange(
      { height, width, count: 1 },
      { left: 0, top: 0, columns: 1, cell: [SIDE, SIDE], step: [0, 0] },
    );
    this.tiles.draw(this.values(), layerScale(shown.layer, state.activations[shown.layer]));
    this.tiles.choose(Math.floor(shown.index / count));
  }

  private get map(): number {
    const [, , map = 0] = placeOf(this.state!.shapes[this.cell!.layer], this.cell!.index);
    return map;
  }

  private values(): Float32Array {
    const [, , count = 1] = this.state!.shapes[this.cell!.layer];
    const { map } = this;
    return this.state!.activations[this.cell!.layer].filter((_, i) => i % count === map);
  }

  private placeOf(index: number): { row: number; column: number } {
    const [, width] = this.state!.shapes[this.cell!.layer];
    return { row: Math.floor(index / width), column: index % width };
  }
}
