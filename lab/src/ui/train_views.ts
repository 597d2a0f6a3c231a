/** What is shown of training beside its curves: clock, workers, test digits, what to take home. */

import type { Progress, Trainer, TrainerInfo, TrainerOptions } from "../trainer.ts";
import { Clock } from "./clock.ts";
import { Confusion } from "./confusion.ts";
import { element } from "./dom.ts";
import { TakeHome, type TakeHomeActions } from "./take_home.ts";
import { TeamView } from "./team_view.ts";

export class TrainViews {
  readonly clock = new Clock();
  private readonly team = new TeamView();
  private readonly confusion: Confusion;
  private readonly takeHome: TakeHome;
  readonly root: HTMLElement;
  private options: TrainerOptions | null = null;
  private info: TrainerInfo | null = null;
  /** The latest look at test digits: share that is right, and of how many. */
  private tested: [number, number] | null = null;

  constructor(trainer: Trainer, actions: TakeHomeActions) {
    this.takeHome = new TakeHome(actions);
    this.confusion = new Confusion(trainer);
    this.root = element(
      "div",
      { class: "lab-train-views" },
      this.confusion.root,
      this.team.root,
      this.takeHome.root,
    );
  }

  started(info: TrainerInfo, options: TrainerOptions): void {
    this.options = options;
    this.info = info;
    this.tested = null;
    this.clock.started(info, options);
    this.team.started(info);
    this.confusion.reset();
  }

  update(progress: Progress): void {
    const { testAccuracy, tested, guesses } = progress;
    if (testAccuracy !== undefined && tested !== undefined) this.tested = [testAccuracy, tested];
    if (progress.iteration > 0) this.clock.update(progress, this.tested, this.options!);
    this.team.update(progress);
    const { weights, iteration } = progress;
    const [options, info] = [this.options!, this.info!];
    if (weights) this.takeHome.training({ options, info, weights, iteration });
    if (guesses) void this.confusion.update(guesses);
  }

  reset(): void {
    this.clock.reset();
    this.takeHome.training(null);
    this.confusion.reset();
  }
}
