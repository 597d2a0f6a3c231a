/** Steps of Adam on the reader's own drawing, and taking them back. */

import {
  adamRate,
  adamStep,
  BETA1,
  BETA2,
  EPSILON,
  newAdamState,
  type AdamState,
} from "../training.ts";
import { copyWeights, type Architecture, type Weights } from "../network.ts";

/** What Adam does with one weight. */
export interface AdamOfWeight {
  /** The step's number, from 1. */
  step: number;
  /** What it remembers after taking the gradient in. */
  mean: number;
  square: number;
  /** What is added to the weight. */
  move: number;
}

export class OwnSteps {
  private adam: AdamState | null = null;
  /** The weights that the memory belongs to. */
  private of: Weights | null = null;
  private readonly before: { weights: Weights; adam: AdamState }[] = [];

  /** Forget everything when the weights are not those that the last step left. */
  follow(architecture: Architecture, weights: Weights): void {
    if (this.of === weights && this.adam) return;
    this.of = weights;
    this.adam = newAdamState(architecture);
    this.before.length = 0;
  }

  /** Steps taken on this network so far. */
  get count(): number {
    return this.before.length;
  }

  /** What the next step would do with a weight. */
  preview(name: keyof Weights, index: number, gradient: number, rate: number): AdamOfWeight {
    const { means, squares, step } = this.adam!;
    const mean = means[name][index] + (1 - BETA1) * (gradient - means[name][index]);
    const square = squares[name][index] + (1 - BETA2) * (gradient ** 2 - squares[name][index]);
    const move = (-adamRate(rate, step + 1) * mean) / (Math.sqrt(square) + EPSILON);
    return { step: step + 1, mean, square, move };
  }

  /** Take a step; gives the new weights. */
  take(gradients: Weights, rate: number): Weights {
    const adam = this.adam!;
    this.before.push({
      weights: this.of!,
      adam: { step: adam.step, means: copyWeights(adam.means), squares: copyWeights(adam.squares) },
    });
    const weights = copyWeights(this.of!);
    adamStep(weights, gradients, adam, rate);
    this.of = weights;
    return weights;
  }

  /** Take the last step back; gives the weights from before it, `null` if there was none. */
  undo(): Weights | null {
    const last = this.before.pop();
    if (!last) return null;
    this.adam = last.adam;
    this.of = last.weights;
    return last.weights;
  }
}
