/** Messages to the reader: what went wrong, and what that means for the page. */

import { element, quietButton } from "./dom.ts";

export class Messages {
  readonly root = element("div", { class: "lab-messages", role: "alert" });

  /** Show a message until the reader closes it; `about` replaces an earlier one on the same matter. */
  tell(about: string, text: string): void {
    this.clear(about);
    const message = element("p", { class: "lab-message", "data-about": about }, text, " ");
    message.append(quietButton("Close", () => message.remove()));
    this.root.append(message);
  }

  clear(about: string): void {
    this.root.querySelector(`[data-about="${about}"]`)?.remove();
  }
}

/** Said where the kernels cannot run. */
export function slowNote(reason: string | null): HTMLElement {
  const note = `This browser runs the network without WebAssembly (${reason}): the numbers are the same, but drawing and training are slower.`;
  return element("p", { class: "lab lab-hint" }, note);
}
