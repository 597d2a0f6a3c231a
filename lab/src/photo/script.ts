/** A script of its own, which the page loads with the first photograph: most readers bring none. */

import { prepare, type Photograph, type Pixels } from "./prepare.ts";

declare global {
  interface Window {
    labPrepare?: (pixels: Pixels) => Photograph;
  }
}

window.labPrepare = prepare;
