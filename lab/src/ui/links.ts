/** What a link holds of the page, and how the page takes over what a link says. */

import { CHECKPOINTS } from "../data.ts";
import { convolutions, shapes, type Architecture } from "../network.ts";
import { Address } from "./address.ts";
import { MINE } from "./bar.ts";
import { cellOf, placeOf } from "./cells.ts";
import type { Stroke } from "./centre.ts";
import type { Choice } from "./choice.ts";
import type { Dock } from "./dock.ts";
import { fitsChanges, type Edits } from "./edits.ts";
import type { Messages } from "./messages.ts";
import type { Networks } from "./networks.ts";
import type { ReadLink, Shared } from "./share.ts";

export const CHECKPOINT_NAMES = CHECKPOINTS.map(String);
export const TRAINED = "10000";

/** The parts of the page that a link speaks of. */
export interface Linked {
  readonly networks: Networks;
  readonly edits: Edits;
  readonly choice: Choice;
  readonly dock: Dock;
  readonly messages: Messages;
}

export interface LinkActions {
  strokes(): Stroke[];
  draw(strokes: Stroke[]): void;
  /** Gives what went wrong, or "". */
  useNetwork(name: string, link: ReadLink | null): Promise<string>;
  /** The changes to filters are different ones. */
  changed(): void;
}

export class Links {
  readonly address: Address;

  constructor(
    private readonly page: Linked,
    private readonly actions: LinkActions,
  ) {
    this.address = new Address(
      () => this.shared(),
      (link) => void this.follow(link),
    );
  }

  /** Without a link: the trained network, at first its small copy. */
  async firstLook(): Promise<void> {
    if (!(await this.page.networks.glance(TRAINED, () => void this.useTrained())))
      await this.useTrained();
    this.address.changed();
  }

  private async useTrained(): Promise<void> {
    const problem = await this.actions.useNetwork(TRAINED, null);
    if (problem) this.page.messages.tell("network", `${problem} The page keeps the one it has.`);
  }

  private shared(): Shared {
    const { networks, choice, edits } = this.page;
    const { network, architecture } = networks;
    const isShared = network !== MINE && network !== "";
    const { pinned } = choice;
    return {
      strokes: this.actions.strokes(),
      network: isShared ? network : null,
      // Changes to a network that the link does not hold would be made to another one.
      changes: isShared && edits.count > 0 ? edits.changes : null,
      cell: pinned && {
        layer: pinned.layer,
        place: placeOf(shapes(architecture)[pinned.layer], pinned.index),
      },
    };
  }

  /** Take over what a link says; from a damaged one, the parts that are whole. */
  async follow(link: ReadLink): Promise<void> {
    const { problems } = link;
    const { networks, edits, choice, messages } = this.page;
    if (link.strokes) this.actions.draw(link.strokes);
    // Nothing of what an earlier link said stays.
    edits.clear();
    this.actions.changed();
    choice.pin(null);

    const isKnown = link.network !== null && CHECKPOINT_NAMES.includes(link.network);
    const name = isKnown ? link.network! : networks.network || TRAINED;
    if (link.network !== null && !isKnown)
      problems.push(`It names a network that is not here: “${link.network.slice(0, 40)}”.`);
    const problem = await this.actions.useNetwork(name, link);
    if (this.address.following !== link) return;
    if (problem) problems.push(problem);
    // Nothing but noise is there yet: better the book's network than none.
    if (networks.network === "" && name !== TRAINED) {
      await this.actions.useNetwork(TRAINED, link);
      if (this.address.following !== link) return;
    }
    this.address.following = null;
    problems.push(...this.takeOver(link, networks.architecture));
    if (problems.length > 0) {
      // The address stays as it is: a reload tries it again.
      messages.tell(
        "link",
        `This link could not be read in full. ${problems.join(" ")} Everything else is as the link says, and the page works as ever.`,
      );
    } else {
      messages.clear("link");
      this.address.changed();
    }
  }

  /** Take over a link's changes and its number; gives what could not be. */
  private takeOver(link: ReadLink, architecture: Architecture): string[] {
    const { networks, edits, choice, dock } = this.page;
    const problems: string[] = [];
    if (link.changes) {
      if (link.network !== null && link.network !== networks.network)
        problems.push("Its changes to filters are left out: they belong to that network.");
      else if (!fitsChanges(link.changes, convolutions(architecture)))
        problems.push("It changes filters that this network does not have.");
      else {
        edits.changes = link.changes;
        this.actions.changed();
      }
    }
    if (link.cell) {
      const cell = cellOf(link.cell.layer, link.cell.place, shapes(architecture));
      if (!cell) problems.push("It chooses a number that this network does not have.");
      else {
        dock.turnTo("arithmetic");
        choice.pin(cell);
      }
    }
    return problems;
  }
}
