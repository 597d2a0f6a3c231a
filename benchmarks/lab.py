"""How fast the lab is, in this machine's Chromium, and what it weighs.

    python benchmarks/lab.py [--site _build/html] [--seconds 60] [--write]

Needs the built site (``make book``) and a machine that is doing nothing else. With ``--write`` the
result replaces ``benchmarks/lab.md``.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Response

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from chromium import NoBrowserError, open_chromium, serving  # noqa: E402

# What is compressed already gains nothing from gzip.
COMPRESSED = (".png", ".jpg", ".woff", ".woff2")

FORWARD = """async ({ kind, calls }) => {
  const lab = await import("/_static/lab/core.js");
  const engine = kind === "javascript" ? lab.Engine.plain() : await lab.Engine.load();
  if (engine.kind !== kind) throw new Error(engine.reason);
  const w = await lab.loadCheckpoint(10000);
  const { test } = await lab.loadDigits();
  const { images } = lab.toBatch(test);
  const times = [];
  for (let i = 0; i < calls; i++) {
    const image = images.subarray((i % 100) * 784, (i % 100) * 784 + 784);
    const start = performance.now();
    // The clock ticks too slowly for one call.
    for (let k = 0; k < 10; k++) engine.forward(lab.BOOK, w, image);
    times.push((performance.now() - start) / 10);
  }
  return times.slice(calls / 5);
}"""

TRAIN = """async ({ learningRate, seconds }) => {
  const lab = await import("/_static/lab/core.js");
  const trainer = new lab.Trainer();
  let last;
  trainer.onprogress = (progress) => (last = { ...last, ...progress });
  const info = await trainer.start({
    architecture: lab.BOOK, learningRate, batchSize: 64, seed: 1,
  });
  trainer.run();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  const { iteration } = last;
  last.testAccuracy = undefined;
  trainer.pause();
  while (last.testAccuracy === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  trainer.close();
  return { ...info, iteration, testAccuracy: last.testAccuracy, msPerStep: last.msPerStep };
}"""

# The race's recipe, from the first step to the last test digit: what the page's recipe
# "the quickest" does (`lab/src/ui/recipe_choice.ts`).
RACE = """async ({ seed, workers }) => {
  const lab = await import("/_static/lab/core.js");
  const trainer = new lab.Trainer();
  let last;
  trainer.onprogress = (progress) => (last = { ...last, ...progress });
  const info = await trainer.start({
    architecture: lab.BOOK, learningRate: 6e-3, batchSize: 32, seed, start: "he", cycle: 750,
    last: 750, labelSmoothing: 0.05, digits: "all", workers,
  });
  trainer.run();
  while (!last?.finished) await new Promise((resolve) => setTimeout(resolve, 10));
  trainer.close();
  return { ...info, seconds: last.seconds, testAccuracy: last.testAccuracy, tested: last.tested };
}"""
NUM_SEEDS = 5

# This many steps of 64 by a number of workers: images a second.
SHARED = """async ({ workers, steps }) => {
  const lab = await import("/_static/lab/core.js");
  const trainer = new lab.Trainer();
  let last;
  trainer.onprogress = (progress) => (last = { ...last, ...progress });
  await trainer.start({
    architecture: lab.BOOK, learningRate: 1e-4, batchSize: 64, seed: 1, workers, last: steps,
  });
  trainer.run();
  while (!last?.finished) await new Promise((resolve) => setTimeout(resolve, 10));
  trainer.close();
  return 64000 / last.msPerStep;
}"""

# From the moment the pen moves to the moment the frame that shows all layers has been handed to
# the screen: a message posted during a frame arrives after it. For each time, also the part that
# the page itself took; before that the browser waited for the screen's next refresh, as it does
# with every movement, sixty times a second.
WATCH_PEN = """() => {
  window.penTimes = [];
  let arrived = 0;
  addEventListener("pointermove", () => (arrived = performance.now()), { capture: true });
  document.querySelector(".lab-paper").addEventListener("pointermove", (event) => {
    const begun = arrived;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const end = performance.now();
        penTimes.push([end - event.timeStamp, end - begun]);
      };
      port2.postMessage(null);
    });
  });
}"""
# The strokes that are measured, and movements in each.
STROKES = 8
MOVES = 40


def summary(times: Sequence[float]) -> str:
    """Median and 95th percentile in milliseconds."""
    percentile = statistics.quantiles(times, n=20)[-1]
    return f"{statistics.median(times):.2f} ms, 95th percentile {percentile:.2f} ms"


def measure_weight(browser: Browser, address: str) -> dict[str, int]:
    """Bytes on the wire of the lab's page, gzipped as a host would: by kind."""
    sizes = {"page": 0, "checkpoints": 0, "digits": 0}

    def add(response: Response) -> None:
        body = response.body()
        size = len(body if response.url.endswith(COMPRESSED) else gzip.compress(body, mtime=0))
        kinds = [kind for kind in ("checkpoints", "digits") if f"/lab/{kind}" in response.url]
        sizes[kinds[0] if kinds else "page"] += size

    page = browser.new_page()
    page.on("response", add)
    open_lab(page, address)
    page.wait_for_load_state("networkidle")
    page.close()
    return sizes


def open_lab(page: Page, address: str) -> None:
    """Open the lab and wait until it shows the first guess."""
    page.goto(f"{address}/book/lab.html")
    page.wait_for_selector("html[data-lab]")


def measure_pen(browser: Browser, address: str) -> tuple[list[float], list[float]]:
    """Times from a movement of the pen to the frame that shows what it changed.

    Returns:
        The times in milliseconds, and the part of each that was the page's own work.
    """
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    open_lab(page, address)
    paper = page.locator(".lab-paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    assert box is not None
    page.evaluate(WATCH_PEN)
    x, y, side = box["x"], box["y"], min(box["width"], box["height"])
    moved = 0
    for stroke in range(STROKES):
        # On empty paper, and each stroke bent differently: every movement changes the guess.
        page.get_by_role("button", name="Clear").click()
        page.mouse.move(x + 0.2 * side, y + 0.2 * side)
        page.mouse.down()
        moved += 1
        for move in range(1, MOVES):
            along = move / MOVES
            down = along ** (1 + stroke / 4)
            page.mouse.move(x + (0.2 + 0.6 * along) * side, y + (0.2 + 0.6 * down) * side)
            moved += 1
            page.wait_for_function("(count) => penTimes.length >= count", arg=moved)
        page.mouse.up()
    # The first movements also compile the page's code.
    times = page.evaluate("penTimes")[2 * MOVES :]
    page.close()
    return [whole for whole, _ in times], [own for _, own in times]


def measure_race(page: Page) -> tuple[str, str]:
    """The race's recipe with several seeds, as a row of the table."""
    runs: list[dict[str, Any]] = []
    for seed in range(1, NUM_SEEDS + 1):
        runs.append(page.evaluate(RACE, {"seed": seed, "workers": None}))
    shares = sorted(run["testAccuracy"] for run in runs)
    seconds = sorted(run["seconds"] for run in runs)
    return (
        f"The quickest recipe, 750 steps of 32, {runs[0]['workers']} workers, {NUM_SEEDS} seeds",
        f"{statistics.median(shares):.2%} ({shares[0]:.2%} to {shares[-1]:.2%}) of "
        f"{runs[0]['tested']:,} test digits, one look each ({runs[0]['source']}); "
        f"{statistics.median(seconds):.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f})",
    )


def measure_older_step() -> tuple[str, str]:
    """A step the older way, in TensorFlow on this machine, as a row of the table."""
    sys.path.insert(0, str(ROOT))
    from lab_data import mnist_on_this_machine

    from mnist_helpers.speed.older import OlderTraining

    train = mnist_on_this_machine().train
    training = OlderTraining()
    training.train(train, 20)
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        training.train(train, 20)
        times.append((time.perf_counter() - begun) / 20)
    step = statistics.median(times)
    return (
        "A step of 64 the older way, TensorFlow, here",
        f"{1000 * step:.0f} ms; 10,000 of them take {10_000 * step / 60:.1f} minutes",
    )


def measure_workers(page: Page) -> list[tuple[str, str]]:
    """Images a second by one, two and four workers, in turn; rows of the table."""
    rates: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for _ in range(3):
        for workers, found in rates.items():
            found.append(page.evaluate(SHARED, {"workers": workers, "steps": 150}))
    alone = statistics.median(rates[1])
    return [
        (
            f"Training on batches of 64, workers: {workers}",
            f"{statistics.median(found):,.0f} images a second, "
            f"{statistics.median(found) / alone:.2f} times one worker's",
        )
        for workers, found in rates.items()
    ]


def measure(site: Path, seconds: float) -> list[tuple[str, str]]:
    """All figures, as rows of a table."""
    rows = []
    with serving(site) as address, open_chromium() as browser:
        sizes = measure_weight(browser, address)
        rows.append(("Page on the wire, gzipped", f"{sizes['page'] / 1000:.0f} KB"))
        rows.append(("A checkpoint, gzipped", f"{sizes['checkpoints'] / 1000:.0f} KB"))
        print("measuring the pen", file=sys.stderr)
        whole, own = measure_pen(browser, address)
        rows.append(("From pen to screen, at 60 refreshes a second", summary(whole)))
        rows.append(("The page's part of that, without the wait for the refresh", summary(own)))
        page = browser.new_page()
        page.goto(f"{address}/_static/lab/digits.json")
        print("measuring one image", file=sys.stderr)
        for kind, calls in (("wasm-simd", 500), ("javascript", 50)):
            times = page.evaluate(FORWARD, {"kind": kind, "calls": calls})
            rows.append((f"One image, all layers, {kind}", summary(times)))
        print("training twice", file=sys.stderr)
        for rate in (1e-4, 1e-3):
            found: dict[str, Any] = page.evaluate(TRAIN, {"learningRate": rate, "seconds": seconds})
            rows.append(
                (
                    f"Training for {seconds:g} s, learning rate {rate:g}",
                    f"{found['iteration']:,} steps of 64, {found['iteration'] / seconds:.0f} a "
                    f"second; {found['testAccuracy']:.1%} of {found['numTest']:,} test digits "
                    f"({found['source']})",
                )
            )
        print("the quickest recipe", file=sys.stderr)
        rows.append(measure_race(page))
        rows.append(measure_older_step())
        print("one, two and four workers", file=sys.stderr)
        rows.extend(measure_workers(page))
        rows.append(("Chromium", browser.version))
    rows.append(("Machine", f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"))
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Measure the lab.")
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html")
    parser.add_argument("--seconds", type=float, default=60, help="how long to train each time")
    parser.add_argument("--write", action="store_true", help="store the result in lab.md")
    options = parser.parse_args(arguments)
    if not (options.site / "book" / "lab.html").is_file():
        parser.error(f"{options.site} holds no lab: build the book first (make book)")
    try:
        rows = measure(options.site, options.seconds)
    except NoBrowserError as error:
        raise SystemExit(str(error)) from None
    lines = ["| What | Measured |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)]
    table = "\n".join(lines) + "\n"
    print(table)
    if options.write:
        text = "# The lab, measured\n\nBy `python benchmarks/lab.py --write`.\n\n" + table
        (ROOT / "benchmarks" / "lab.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
