/** The page's address: written as the reader changes something, read when a link is followed, copied. */

import { afterwards, element, setText } from "./dom.ts";
import { whole } from "./numbers.ts";
import { fromFragment, holdsDrawing, toFragment, type ReadLink, type Shared } from "./share.ts";

/** Some programs cut off an address that has more characters than this. */
const LONG = 2000;
const TOO_LONG =
  "The drawing is now too long for a link. It stays on the page, but a reload loses it.";

export class Address {
  /** What became of the last copy; and whether the drawing fits into the address. */
  readonly status = element("span", { class: "lab-hint", role: "status" });
  /** The link to copy by hand, where the page may not. */
  readonly field = element("input", {
    type: "text",
    readonly: true,
    class: "lab-link-field",
    "aria-label": "Link to this drawing",
    hidden: true,
  });
  /**
   * The link that is being taken over, while its network is on its way. What the reader does
   * meanwhile counts for more than what the link says of the same thing.
   */
  following: ReadLink | null = null;
  /** What was last read from the address, or written there. */
  private known = "";
  private copies = 0;
  private readonly writeSoon = afterwards(300, () => this.write());

  /**
   * @param shared What is on the page now.
   * @param follow Called with a link that the reader follows while the page is open.
   */
  constructor(
    private readonly shared: () => Shared,
    follow: (link: ReadLink) => void,
  ) {
    window.addEventListener("hashchange", () => {
      const link = this.read();
      if (link) follow(link);
    });
  }

  /** The link in the address, to be taken over from now on; `null` if it is not the lab's. */
  read(): ReadLink | null {
    this.known = window.location.hash;
    const link = fromFragment(this.known);
    if (link) this.following = link;
    return link;
  }

  /** Something that the address holds has changed. */
  changed(): void {
    // While a link is taken over, the address is that link; a reload must find it whole.
    if (!this.following) this.writeSoon();
  }

  private write(): void {
    // A link was followed and has yet to be read: written over, it would be lost.
    if (this.following || window.location.hash !== this.known) return;
    const fragment = toFragment(this.shared());
    history.replaceState(null, "", `#${fragment}`);
    this.known = window.location.hash;
    if (!holdsDrawing(fragment)) setText(this.status, TOO_LONG);
    else if (this.status.textContent === TOO_LONG) setText(this.status, "");
  }

  /** Copy a link to what is on the page; `note` says what it can't hold. */
  async copy(note: string): Promise<void> {
    this.write();
    const fragment = toFragment(this.shared());
    // Not the address itself: it may be a link that is still being taken over.
    const link = `${window.location.href.replace(/#.*/, "")}#${fragment}`;
    const said = [note];
    if (!holdsDrawing(fragment))
      said.push("It leaves out the drawing, which is too long for a link.");
    else if (link.length > LONG)
      said.push(
        `It has ${whole(link.length)} characters: some programs cut short a link of that length.`,
      );
    this.copies += 1;
    const copy = this.copies;
    let copied = true;
    try {
      await navigator.clipboard.writeText(link);
    } catch {
      // Without permission, or on a page that did not come over a secure connection.
      copied = false;
    }
    if (copy !== this.copies) return;
    this.field.hidden = copied;
    if (!copied) {
      this.field.value = link;
      this.field.select();
    }
    said.unshift(copied ? "Copied." : "Copy it from the field below.");
    setText(this.status, said.filter(Boolean).join(" "));
  }
}
