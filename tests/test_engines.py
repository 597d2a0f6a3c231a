"""The built book in Firefox and WebKit: every page, each kind of control, and the lab.

What the pages should show is tested in Chromium, in other files; here, that it works elsewhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines import Engine, watched
from page_policy import add_policy
from site_pages import toc_files

pytest_plugins = ["built_site", "engine_fixtures"]

# Pages that Sphinx makes by itself; a file that only leads on, index, is tried alone.
NAMES = [*toc_files(), "genindex", "search"]
# Whether a figure shows other pictures, drawings or words than when it was last asked.
CHANGED = """(() => {
  const figure = %s;
  const shown = JSON.stringify([
    Array.from(figure.querySelectorAll("img"), (image) => image.src + image.alt),
    Array.from(figure.querySelectorAll("canvas"), (canvas) => canvas.toDataURL()),
    figure.querySelector("figcaption").textContent,
  ]);
  const changed = figure.shown !== shown;
  figure.shown = shown;
  return changed;
})()"""


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[tuple[str, list[str]]]:
    with watched(site) as served:
        yield served


@pytest.fixture
def open_page(engine: Engine, served: tuple[str, list[str]]) -> Iterator[Callable[[str], None]]:
    """A function that opens a page of the book; until a test's end nothing must go wrong."""
    address, failed = served
    failed.clear()
    yield lambda name: engine.open(f"{address}/{name}.html")
    assert engine.problems() + failed == []


def each(engine: Engine, within: str, selector: str) -> list[str]:
    """All elements that a selector finds, each as JavaScript."""
    found = f"{within}.querySelectorAll({json.dumps(selector)})"
    return [f"{found}[{number}]" for number in range(engine.evaluate(f"{found}.length"))]


def named(name: str) -> str:
    """The button with a name, which is its label or its text, as JavaScript."""
    wanted = json.dumps(name)
    return (
        f"[...document.querySelectorAll('button')].find((button) => button.checkVisibility()"
        f" && (button.ariaLabel ?? button.textContent).trim() === {wanted})"
    )


def visible(selector: str) -> str:
    """The first element that a selector finds and a reader sees, as JavaScript."""
    return f"[...document.querySelectorAll('{selector}')].find((each) => each.checkVisibility())"


# --- Every page -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_page_opens_and_its_controls_move(
    name: str, engine: Engine, open_page: Callable[[str], None]
) -> None:
    open_page(name)
    assert engine.evaluate("document.querySelector('main').innerText.length") > 100
    for figure in each(engine, "document", "figure.mnist-widget"):
        engine.wait(f"{figure}.classList.contains('is-live')")
        changed = CHANGED % figure
        engine.evaluate(changed)
        moved = [
            move(engine, figure, changed) for move in (sliders, choices, cells, drawings, steps)
        ]
        assert sum(moved) > 0
    count = "document.querySelectorAll('.mnist-answer %s').length"
    engine.wait(f"{count % 'form'} === {count % 'script'}")
    for form in each(engine, "document", ".mnist-answer form"):
        engine.run(f"{form}.querySelector('input').focus()")
        engine.press("7")
        engine.press("Enter")
        # Of a number or a shape, what it says of 7; where nothing is chosen, that one may choose.
        engine.wait(f"{form}.querySelector('[role=status]').textContent.length > 5")
    # Those on a page of the lab's dock that is not shown cannot be reached.
    for fold in each(engine, "document", "article details:not([hidden] *)"):
        before = json.dumps(engine.evaluate(f"{fold}.open"))
        # By keyboard: what an opened fold moves away cannot be missed.
        engine.run(f"{fold}.querySelector('summary').focus()")
        engine.press("Enter")
        engine.wait(f"{fold}.open !== {before}")


# Each of these uses one kind of control in a figure, waits until the figure has changed, and gives
# how many controls of the kind there were.


def sliders(engine: Engine, figure: str, changed: str) -> int:
    """By keyboard and by mouse."""
    found = each(engine, figure, "input[type=range]")
    for slider in found:
        engine.run(f"{slider}.focus()")
        engine.press("Home")
        engine.evaluate(changed)
        for key in ("End", "ArrowLeft"):
            engine.press(key)
            engine.wait(changed)
        engine.click(slider, right=0.02)
        engine.wait(changed)
        assert engine.evaluate(f"{slider}.value") == "0"
    return len(found)


def choices(engine: Engine, figure: str, changed: str) -> int:
    """Radio buttons."""
    found = each(engine, figure, "input[type=radio]")
    for radio in found:
        if not engine.evaluate(f"{radio}.checked"):
            engine.click(radio)
            engine.wait(changed)
    return len(found)


def cells(engine: Engine, figure: str, changed: str) -> int:
    """Some cells of the confusion matrix, by mouse and by keyboard."""
    found = each(engine, figure, "td button")
    for place, cell in enumerate(found[::9]):
        engine.evaluate(changed)
        if engine.evaluate(f"{cell}.ariaPressed") == "true":
            continue
        if place % 2:
            engine.click(cell)
        else:
            engine.run(f"{cell}.focus()")
            engine.press("Enter")
        engine.wait(changed)
    return len(found)


def drawings(engine: Engine, figure: str, changed: str) -> int:
    """The two drawings of a convolution, in which a place can be chosen."""
    found = each(engine, figure, "canvas:not(.digits canvas)")
    for drawing in found:
        for part in (0.3, 0.6):
            engine.click(drawing, right=part, down=part)
            engine.wait(changed)
    return len(found)


def steps(engine: Engine, figure: str, changed: str) -> int:
    """The buttons that go on, back, and by themselves."""
    found = each(engine, figure, ".steps button")
    if found:
        back, play, forth = found
        for button in (forth, back, play):
            engine.evaluate(changed)
            engine.click(button)
            engine.wait(changed)
        if engine.evaluate(f"{play}.textContent") == "Pause":
            engine.click(play)
        engine.wait(f"{play}.textContent === 'Play'")
    return len(found)


def test_the_folder_leads_to_the_first_page(engine: Engine, served: tuple[str, list[str]]) -> None:
    engine.send("url", url=f"{served[0]}/index.html")
    engine.wait(
        f"location.pathname === '/{toc_files()[0]}.html' && document.readyState === 'complete'"
    )
    assert engine.problems() == []


# The browser's own measure: what the sidebar cuts off does not count.
IN_SIGHT = """(() => {
  const item = document.querySelector(".bd-docs-nav .active > a");
  new IntersectionObserver(([entry]) => (item.seen = entry.intersectionRatio)).observe(item);
  return item.seen > 0.99;
})()"""


def test_the_sidebar_shows_the_current_chapter(
    engine: Engine, open_page: Callable[[str], None]
) -> None:
    for name in ("data", "scale"):
        open_page(f"notebooks/{name}")
        engine.wait(IN_SIGHT)


def test_a_word_of_the_glossary_shows_its_definition(
    engine: Engine, open_page: Callable[[str], None]
) -> None:
    open_page("notebooks/pooling")
    link, box = (f"document.querySelector('{kind}')" for kind in ("a.term", ".term-definition"))
    engine.run(f"{link}.focus()")
    engine.wait(f"{box}.checkVisibility() && {box}.textContent.length > 20")
    engine.run(f"{link}.blur()")
    engine.wait(f"!{box}.checkVisibility()")


def test_the_switch_makes_a_page_dark_and_light(
    engine: Engine, open_page: Callable[[str], None]
) -> None:
    open_page("book/references")
    background = "getComputedStyle(document.body).backgroundColor"
    colours = {}
    while len(colours) < 2:
        before = engine.evaluate("document.documentElement.dataset.mode")
        engine.click(named("Color mode"))
        engine.wait(f"document.documentElement.dataset.mode !== '{before}'")
        theme = engine.evaluate("document.documentElement.dataset.theme")
        colours[theme] = engine.evaluate(background)
    assert set(colours) == {"light", "dark"}
    assert len(set(colours.values())) == 2


def test_the_search_finds_the_chapter(engine: Engine, open_page: Callable[[str], None]) -> None:
    open_page("book/index")
    engine.click(visible(".search-button__button"))
    engine.wait("document.activeElement.type === 'search'")
    engine.press(*"pooling", "Enter")
    engine.wait("location.pathname === '/search.html' && document.readyState === 'complete'")
    results = "[...document.querySelectorAll('#search-results li')]"
    paths = f"{results}.map((result) => result.querySelector('a').pathname)"
    engine.wait(f"{paths}.includes('/notebooks/pooling.html')")
    # Each result brings its page's words: one that is left before is an error in Firefox.
    engine.wait(f"{results}.every((result) => result.childElementCount > 1)")


def test_the_landing_page_reads_a_drawing(engine: Engine, open_page: Callable[[str], None]) -> None:
    open_page("book/index")
    engine.click(named("Example of the digit 7"))
    engine.run("document.querySelector('.look-slider').focus()")
    engine.press("End")
    digit = "document.querySelector('.look-digit').textContent"
    engine.wait(f"{digit} === '7'")
    engine.press("Home")
    engine.wait("/^After 0 batches/.test(document.querySelector('.look-told').textContent)")
    engine.press("End")
    draw(engine, [(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)])
    engine.wait(f"{digit} === '1'")


# --- The lab --------------------------------------------------------------------------------


def guess(engine: Engine) -> str:
    engine.settle()
    return str(engine.evaluate("document.querySelector('.lab-digit').textContent")).strip()


def draw(engine: Engine, *strokes: list[tuple[float, float]]) -> None:
    """Draw on the paper, in parts of its width and height."""
    for stroke in strokes:
        # Brought into sight once: what a stroke changes may lie above the paper.
        engine.drag(*(engine.place("document.querySelector('.lab-paper')", *at) for at in stroke))


# The network is there, and the first example has drawn itself.
READY = "Boolean(document.querySelector('html[data-lab]:not([data-lab-intro])'))"
STATUS = "document.querySelector('.lab-status').textContent"
ITERATION = f"Number(/Iteration ([\\d,]+)/.exec({STATUS})?.[1].replaceAll(',', ''))"
LOSS = f"Number(/loss ([\\d.]+)/.exec({STATUS})[1])"


def test_the_lab_draws_and_reads(engine: Engine, open_page: Callable[[str], None]) -> None:
    open_page("book/lab")
    engine.wait(READY)
    assert engine.evaluate("document.documentElement.dataset.lab") == "wasm-simd"
    for digit in (3, 8):
        engine.click(named(f"Example of the digit {digit}"))
        assert guess(engine) == str(digit)
    engine.click(named("Clear"))
    assert guess(engine) == "–"
    draw(engine, [(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)])
    assert guess(engine) == "1"
    draw(engine, [(0.25, 0.2), (0.5, 0.2), (0.75, 0.2)])
    assert guess(engine) not in ("1", "–")


def test_the_lab_shows_the_wires_of_a_number_and_its_arithmetic(
    engine: Engine, open_page: Callable[[str], None]
) -> None:
    open_page("book/lab")
    engine.wait(READY)
    # The middle of the second picture of four in a row, of the fifth row of nine.
    engine.click("document.querySelector('[data-layer=pictures2] canvas')", 0.37, 0.5)
    engine.settle()
    assert engine.evaluate("document.querySelector('.lab-dock h2').textContent").startswith(
        "Layer 2, picture "
    )
    sums = engine.evaluate(
        "[...document.querySelectorAll('.lab-wires [data-kind=back]:not([visibility])')]"
        ".map((wire) => Number(wire.dataset.value))"
    )
    assert len(sums) == 16
    told = "document.querySelectorAll('.lab-sums .lab-result')[1].dataset.value"
    assert sum(sums) == pytest.approx(float(engine.evaluate(told)))
    engine.press("[")
    engine.settle()
    assert engine.evaluate("document.querySelector('.lab-dock h2').textContent").startswith(
        "Layer 1, picture "
    )


def test_the_lab_trains(engine: Engine, open_page: Callable[[str], None]) -> None:
    open_page("book/lab")
    engine.wait(READY)
    engine.click(named("Train"))
    # The smallest network, for the sake of time.
    engine.run(
        """for (const select of document.querySelectorAll("[data-page=train] select")) {
          if (!/filter/.test(select.labels[0].textContent)) continue;
          select.selectedIndex = 0;
          select.dispatchEvent(new Event("change", { bubbles: true }));
        }"""
    )
    engine.click(named("One step"))
    engine.wait(f"{ITERATION} === 1")
    first = engine.evaluate(LOSS)
    assert first == pytest.approx(math.log(10), abs=0.7)
    engine.click(named("Continue"))
    engine.wait(f"{ITERATION} >= 100")
    engine.click(named("Pause"))
    engine.wait(f"Boolean({named('Continue')})")
    assert engine.evaluate(LOSS) < first


def test_two_workers_of_the_lab_learn_what_one_does(
    engine: Engine, open_page: Callable[[str], None]
) -> None:
    open_page("book/lab")
    engine.wait(READY)
    # What is asked for by its address needs no other script in the page, which the policy forbids.
    weights = [
        engine.run(
            """return import("../_static/lab/core.js").then(async (lab) => {
              const trainer = new lab.Trainer();
              let last = null;
              const done = new Promise((resolve, reject) => {
                trainer.onprogress = (progress) => progress.finished && resolve(progress);
                trainer.onerror = reject;
              });
              const info = await trainer.start({
                architecture: { ...lab.BOOK, numFilters1: 4, numFilters2: 8 }, learningRate: 1e-3,
                batchSize: 16, seed: 1, last: 12, workers: WORKERS,
              });
              trainer.run();
              last = await done;
              trainer.close();
              return [info.workers, lab.flatten(last.weights).join()];
            })""".replace("WORKERS", str(workers))
        )
        for workers in (1, 2)
    ]
    assert [workers for workers, _ in weights] == [1, 2]
    assert weights[0][1] == weights[1][1]


def test_all_of_mnist_is_opened_and_checked(
    engine: Engine, open_page: Callable[[str], None], site: Path
) -> None:
    if not (site / "_static" / "lab" / "mnist").is_dir():
        pytest.skip("the site was built without MNIST")
    open_page("book/lab")
    engine.wait(READY)
    found = engine.run(
        """return import("../_static/lab/core.js").then(async (lab) => {
          const { train, test } = await lab.loadMnist();
          return [train.labels.length, test.labels.length, train.images.length];
        })"""
    )
    assert found == [55_000, 10_000, 55_000 * 784]


def test_a_step_on_the_drawing_moves_the_loss_and_is_taken_back(
    engine: Engine, open_page: Callable[[str], None]
) -> None:
    open_page("book/lab")
    engine.wait(READY)
    engine.click(named("Way back"))
    told = "document.querySelector('.lab-gradient [role=status]').textContent"
    loss = "document.querySelector('.lab-loss').textContent"
    engine.wait(f"{loss} !== ''")
    before = engine.evaluate(loss)
    engine.click(named("Take one step on my drawing"))
    engine.wait(f"{told}.startsWith('One step')")
    assert engine.evaluate(loss) != before
    engine.click(named("Undo the step"))
    engine.wait(f"{told}.startsWith('Undone')")
    assert engine.evaluate(loss) == before


def test_the_maps_fill_and_a_few_pixels_fool_the_network(
    engine: Engine, open_page: Callable[[str], None]
) -> None:
    open_page("book/lab")
    engine.wait(READY)
    engine.click(named("Why"))
    engine.wait("document.querySelector('[data-done=\"784\"]') !== null")
    engine.click(named("Fool it"))
    told = "document.querySelector('.lab-told').textContent"
    engine.wait(f"/^\\d+ pixels?, and it reads/.test({told})")
    engine.click(named("Undo all"))
    engine.wait(f"{told}.startsWith('All undone')")


# --- The net itself -------------------------------------------------------------------------

BROKEN = {
    "an exception": ('<script src="a.js"></script>', "missing();", "missing"),
    "one after the page was there": (
        '<script src="a.js"></script>',
        "addEventListener('load', () => setTimeout(() => missing()));",
        "missing",
    ),
    "a promise": ('<script src="a.js"></script>', "Promise.reject(new Error('kept'));", "kept"),
    "an error that is told": ('<script src="a.js"></script>', "console.error('oh');", "oh"),
    "a file that is missing": ('<script src="b.js"></script>', "", "b.js"),
    "a request that fails": ('<script src="a.js"></script>', "fetch('/c.json');", "c.json"),
    "a script that the policy does not know": ("<p>", "inline", "script-src"),
    "a request to another host": (
        '<script src="a.js"></script>',
        "fetch('http://127.0.0.2:9/').catch(() => {});",
        "connect-src",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_goes_wrong_is_seen(what: str, engine: Engine, tmp_path: Path) -> None:
    body, script, sign = BROKEN[what]
    head = '<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,"></head>'
    page = add_policy(f"{head}<body>{body}</body></html>")
    if script == "inline":
        page = page.replace("</body>", "<script>let a;</script></body>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "sound.html").write_text(add_policy(f"{head}<body></body></html>"), "utf-8")
    (tmp_path / "a.js").write_text(script, encoding="utf-8")
    with watched(tmp_path) as (address, failed):
        engine.open(f"{address}/sound.html")
        assert engine.problems() + failed == []
        engine.open(f"{address}/page.html")
        found = engine.problems() + failed
    assert any(sign in line for line in found), found
