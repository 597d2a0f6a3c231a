"""How the lab's page shows learning: the way back, recipes, test digits, files."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Request, expect
from test_lab import EmptyTab, settle, wait_for_a_standstill, wait_for_iteration, watched

from mnist_helpers.checkpoints import load_checkpoint, save_checkpoint

pytest_plugins = ["browser", "built_site"]


@pytest.fixture(scope="module")
def address(site: Path, serve: Callable[[Path], str]) -> str:
    return f"{serve(site)}/book/lab.html"


@pytest.fixture
def lab(empty_tab: EmptyTab, address: str) -> Iterator[Page]:
    yield from watched(empty_tab, address)


def value(place: Locator, name: str = "data-value") -> float:
    return float(place.get_attribute(name) or "nan")


def way_back(page: Page) -> Locator:
    page.get_by_role("tab", name="Way back").click()
    settle(page)
    return page.locator("[data-page=back]")


def loss(page: Page) -> float:
    match = re.search(r"Loss ([\d.e−]+[\d])", page.locator(".lab-loss").inner_text())
    assert match is not None
    return float(match[1].replace("−", "-"))


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("a weight of layer 1", {"row": "2", "column": "1", "filter": "3"}),
        ("a bias of layer 2", {"filter": "5"}),
        ("a weight of layer 2", {"row": "0", "channel": "3", "filter": "7"}),
        ("a weight of a logit", {"unit": "10", "digit": "3"}),
    ],
)
def test_the_terms_of_a_gradient_add_up_as_shown(
    lab: Page, kind: str, place: dict[str, str]
) -> None:
    page = way_back(lab)
    lab.get_by_label("The right answer is").select_option("5")
    page.get_by_label("Look at").select_option(label=kind)
    for name, number in place.items():
        page.get_by_role("spinbutton", name=name).fill(number)
    settle(lab)
    expect(page.get_by_role("heading")).to_contain_text("The gradient of")
    total = page.locator("[data-rest]")
    shown = [value(cell) for cell in page.locator("td[data-value]:visible").all()]
    numbers = [one for one in shown if not np.isnan(one)]
    terms = page.locator(".lab-terms tbody tr:visible td:last-child")
    parts = [value(cell) for cell in terms.all()]
    assert len(numbers) >= len(parts)
    assert sum(parts) + value(total, "data-rest") == pytest.approx(value(total), rel=1e-4, abs=1e-9)


def test_a_step_on_the_drawing_lowers_its_loss_and_can_be_taken_back(lab: Page) -> None:
    page = way_back(lab)
    page.get_by_label("Look at").select_option(label="a bias of layer 1")
    lab.get_by_label("The right answer is").select_option("7")
    settle(lab)
    before, text = loss(lab), page.inner_text()
    assert "m and v start at 0" in text
    bars = lab.locator(".lab-scores").inner_text()
    for _ in range(2):
        lab.get_by_role("button", name="Take one step on my drawing").click()
        settle(lab)
    assert loss(lab) < before
    assert lab.locator(".lab-scores").inner_text() != bars
    expect(lab.get_by_label("yours (10,002)")).to_be_checked()
    assert "Adam, step 3" in page.inner_text()
    expect(page.get_by_role("status")).to_contain_text("One step: loss")
    for _ in range(2):
        lab.get_by_role("button", name="Undo the step").click()
        settle(lab)
    assert loss(lab) == before
    assert lab.locator(".lab-scores").inner_text() == bars
    expect(lab.get_by_role("button", name="Undo the step")).to_be_disabled()


def test_the_wires_turn_round_while_the_way_back_is_open(lab: Page) -> None:
    lab.goto(f"{lab.url.split('#')[0]}#cell=pool2.3.3.5&network=10000")
    settle(lab)
    forward = wires(lab)
    way_back(lab)
    lab.get_by_label("The right answer is").select_option("5")
    settle(lab)
    back = wires(lab)
    assert len(back) > 0
    assert forward != back
    # The number's own derivative is the sum of what its wires bring from above.
    page = lab.locator("[data-page=back]")
    expect(page.get_by_role("heading")).to_contain_text("Layer 2, picture 5, row 3, column 3")
    lab.get_by_role("tab", name="Arithmetic").click()
    settle(lab)
    assert wires(lab) == forward


def wires(page: Page) -> list[tuple[str, str]]:
    found = page.locator(".lab-wires path:not([visibility])").all()
    return [
        (str(one.get_attribute("data-kind")), str(one.get_attribute("data-value"))) for one in found
    ]


def train_a_little(page: Page, least: int = 60) -> None:
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("combobox", name="filters in the first layer").select_option("4")
    page.get_by_role("combobox", name="filters in the second").select_option("8")
    page.get_by_role("button", name="Start", exact=True).click()
    wait_for_iteration(page, least)
    page.get_by_role("button", name="Pause", exact=True).click()
    wait_for_a_standstill(page)


def test_the_confusion_matrix_fills_and_its_squares_open(lab: Page) -> None:
    train_a_little(lab)
    squares = lab.locator(".lab-matrix button")
    counts = np.array([int(one) for one in squares.all_inner_texts()]).reshape(10, 10)
    tested = re.search(r"of ([\d,]+) test digits", lab.locator(".lab-clock").inner_text())
    assert tested is not None
    assert counts.sum() == int(tested[1].replace(",", ""))
    label, guess = np.unravel_index(counts.argmax(), counts.shape)
    squares.nth(10 * int(label) + int(guess)).click()
    digits = lab.locator(".lab-confused canvas")
    expect(digits).to_have_count(min(40, int(counts[label, guess])))
    told = lab.locator(".lab-confusion [role=status]")
    expect(told).to_contain_text(f"{label} read as {guess}: {counts[label, guess]} times")
    assert digits.first.get_attribute("aria-label").endswith(f": {label}, read as {guess}")  # type: ignore[union-attr]
    # One stop of the Tab key; the arrow keys go from square to square.
    assert lab.locator(".lab-matrix button[tabindex='0']").count() == 1
    lab.locator(".lab-confusion").get_by_role("button", name="Close").click()
    expect(digits).to_have_count(0)
    focused = "document.activeElement.getAttribute('aria-label')"
    before = lab.evaluate(focused)
    lab.keyboard.press("ArrowUp" if label > 0 else "ArrowDown")
    assert lab.evaluate(focused) != before


def test_training_goes_on_after_a_reload(lab: Page) -> None:
    pending: set[Request] = set()
    lab.on("request", lambda request: pending.add(request))
    lab.on("requestfinished", lambda request: pending.discard(request))
    train_a_little(lab)
    # A helper's script may be on its way still: a reload would break it off.
    while pending:
        lab.wait_for_event("requestfinished")
    match = re.search(r"Iteration ([\d,]+)", lab.locator(".lab-status").inner_text())
    assert match is not None
    lab.reload()
    lab.locator("html[data-lab]:not([data-lab-intro])").wait_for(state="attached")
    lab.get_by_role("tab", name="Train").click()
    go_on = lab.get_by_role("button", name=f"Continue from iteration {match[1]}")
    go_on.click()
    wait_for_iteration(lab, int(match[1].replace(",", "")) + 5)
    expect(go_on).to_have_count(0)
    lab.get_by_role("button", name="Pause", exact=True).click()
    wait_for_a_standstill(lab)


def test_a_network_goes_home_and_comes_back(lab: Page, tmp_path: Path) -> None:
    lab.get_by_role("tab", name="Train").click()
    lab.get_by_text("Take it home").click()
    with lab.expect_download() as download:
        lab.get_by_role("button", name="The network that is shown").click()
    path = tmp_path / "mine.npz"
    download.value.save_as(path)
    net, stored = load_checkpoint(path), load_checkpoint(10_000)
    assert net.iterations == 10_000
    for name, variable in net.weights.items():
        np.testing.assert_array_equal(variable.numpy(), stored.weights[name].numpy())
    # Another one, from Python.
    save_checkpoint(load_checkpoint(100), path)
    lab.get_by_label("Open a network").set_input_files(path)
    expect(lab.get_by_label("yours (100)")).to_be_checked()
    told = lab.locator(".lab-take-home [role=status]")
    expect(told).to_contain_text("shows the network in mine.npz")
    path.write_bytes(b"<!doctype html>")
    lab.get_by_label("Open a network").set_input_files(path)
    expect(told).to_contain_text("not a .npz archive")
    expect(lab.get_by_role("alert")).to_contain_text("mine.npz could not be opened")
    expect(lab.get_by_label("yours (100)")).to_be_checked()


def test_a_network_may_be_dropped_anywhere_on_the_page(lab: Page, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    save_checkpoint(load_checkpoint(1), path)
    content = base64.b64encode(path.read_bytes()).decode()
    lab.evaluate(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "mine.npz"));
          const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer });
          document.querySelector(".lab-scores").dispatchEvent(drop);
        }""",
        content,
    )
    expect(lab.get_by_label("yours (1)")).to_be_checked()


def test_the_quickest_recipe_says_what_differs(lab: Page, site: Path) -> None:
    lab.get_by_role("tab", name="Train").click()
    lab.get_by_label("the quickest").check()
    expect(lab.get_by_role("combobox", name="filter size")).to_be_disabled()
    lab.get_by_role("button", name="Start", exact=True).click()
    wait_for_iteration(lab, 20)
    lab.get_by_role("button", name="Pause", exact=True).click()
    wait_for_a_standstill(lab)
    clock = lab.locator(".lab-clock")
    expect(clock).to_contain_text("5 min 44 s")
    expect(clock).to_contain_text("your computer is not theirs")
    has_mnist = (site / "_static" / "lab" / "mnist").is_dir()
    said = "of 55,000 training images" if has_mnist else "this site has no more"
    expect(clock).to_contain_text(said)


def test_what_shows_learning_is_accessible(lab: Page, axe: Callable[..., list[str]]) -> None:
    train_a_little(lab, 10)
    lab.locator(".lab-team summary").click()
    lab.locator(".lab-take-home summary").click()
    for tab in ("Train", "Way back"):
        lab.get_by_role("tab", name=tab).click()
        settle(lab)
        assert axe(lab) == [], tab
