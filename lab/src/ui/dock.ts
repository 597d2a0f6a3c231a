/**
 * The dock below the picture: five pages, of which one is shown. It keeps its place whatever it
 * shows, so that the picture never moves; on a small screen it is a sheet that covers the lower half.
 */

import { ARROWS, button, element, newId, setAttribute, quietButton } from "./dom.ts";

export type PageName = "arithmetic" | "change" | "back" | "why" | "train";

export interface Page {
  name: PageName;
  title: string;
  /** What stands beside the tabs while the page is shown. */
  head: HTMLElement;
  body: HTMLElement;
}

export class Dock {
  readonly root: HTMLElement;
  private readonly tabs = new Map<PageName, HTMLButtonElement>();
  private readonly panels = new Map<PageName, HTMLElement>();
  private readonly closeButton: HTMLButtonElement;
  private readonly waiting = element(
    "p",
    { class: "lab-waiting-note lab-hint", role: "status", hidden: true },
    "What you see at first is a small copy of the network. The exact numbers are on their way; once they are here, you can open the arithmetic of each, and change any filter.",
  );
  private open: PageName = "arithmetic";

  /** @param onturn Another page is shown. */
  constructor(
    private readonly pages: Page[],
    private readonly onturn: (page: PageName) => void,
  ) {
    const tabs = element("div", {
      class: "lab-tabs",
      role: "tablist",
      "aria-label": "What is shown below the picture",
    });
    const head = element("div", { class: "lab-dock-head" }, tabs);
    this.root = element("section", { class: "lab-dock", "aria-label": "Below the picture" }, head);
    for (const { name, title, head: own, body } of pages) {
      const panel = element("div", {
        class: "lab-page",
        role: "tabpanel",
        id: newId("page"),
        "data-page": name,
        tabindex: -1,
      });
      panel.append(body);
      const tab = button(title, () => this.turnTo(name), "lab-tab");
      setAttribute(tab, "role", "tab");
      setAttribute(tab, "id", newId("tab"));
      setAttribute(tab, "aria-controls", panel.id);
      setAttribute(panel, "aria-labelledby", tab.id);
      this.tabs.set(name, tab);
      this.panels.set(name, panel);
      tabs.append(tab);
      setAttribute(own, "data-head", name);
      head.append(own);
      this.root.append(panel);
    }
    this.closeButton = quietButton("Close the sheet", () => this.lift(false));
    this.closeButton.classList.add("lab-sheet-close");
    head.append(this.closeButton);
    this.root.append(this.waiting);
    tabs.addEventListener("keydown", (event) => this.key(event));
    this.turnTo("arithmetic");
    this.lift(false);
  }

  get page(): PageName {
    return this.open;
  }

  /** Show a page, and on a small screen the sheet. */
  turnTo(name: PageName): void {
    this.open = name;
    for (const page of this.pages) {
      const shown = page.name === name;
      page.head.hidden = !shown;
      this.panels.get(page.name)!.hidden = !shown;
      setAttribute(this.tabs.get(page.name)!, "aria-selected", shown ? "true" : "false");
      setAttribute(this.tabs.get(page.name)!, "tabindex", shown ? 0 : -1);
    }
    this.lift(true);
    this.onturn(name);
  }

  /** Until the numbers are exact there is no arithmetic, and no filter to change. */
  wait(waits: boolean): void {
    this.root.classList.toggle("lab-waits", waits);
    setAttribute(this.waiting, "hidden", !waits);
  }

  /** On a small screen: let the sheet come up, or go. */
  lift(up: boolean): void {
    this.root.classList.toggle("lab-up", up);
  }

  private key(event: KeyboardEvent): void {
    const [step] = ARROWS[event.key] ?? [0];
    if (step === 0) return;
    event.preventDefault();
    const names = this.pages.map(({ name }) => name);
    const next = names[(names.indexOf(this.open) + step + names.length) % names.length];
    this.turnTo(next);
    this.tabs.get(next)!.focus();
  }
}
