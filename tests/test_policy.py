"""The content security policy: on every page, narrow, and obeyed by a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from page_policy import add_policy, policy
from site_pages import Page, toc_files

pytest_plugins = ["browser", "built_site"]

LAB = "book/lab"
HEAD = '<!DOCTYPE html>\n<html><head>\n<meta charset="utf-8" />\n'
# What a page may load and run beside the site's own files; page_policy.py has the reasons.
ALLOWED = {
    "default-src": {"'none'"},
    "script-src": {"'self'"},
    "style-src": {"'self'", "'unsafe-inline'"},
    "img-src": {"'self'", "data:"},
    "font-src": {"'self'"},
    "connect-src": {"'self'"},
    "worker-src": {"'self'"},
    "base-uri": {"'none'"},
    "form-action": {"'self'"},
}


def directives(page: Page) -> dict[str, set[str]]:
    """The one policy of a page, by directive."""
    (tag,) = page.soup.find_all("meta", attrs={"http-equiv": "Content-Security-Policy"})
    parts = [part.split() for part in str(tag["content"]).split(";")]
    return {name: set(sources) for name, *sources in parts}


def test_every_page_has_the_policy_and_no_page_a_wider_one(pages: list[Page]) -> None:
    for page in pages:
        found = directives(page)
        hashes = {each for each in found["script-src"] if each.startswith("'sha256-")}
        found["script-src"] -= hashes
        wasm = {"'wasm-unsafe-eval'"} if str(page) == f"{LAB}.html" else set()
        assert found == ALLOWED | {"script-src": ALLOWED["script-src"] | wasm}, str(page)
        assert len(hashes) <= 4, str(page)


# What a <link> makes some browser fetch, and the directive of the policy that lets it.
LINKED = {"stylesheet": "style-src", "icon": "img-src"}
PRELOADED = {"script": "script-src", "style": "style-src", "font": "font-src", "image": "img-src"}


def test_no_link_in_a_head_is_left_to_default_src(pages: list[Page]) -> None:
    """Firefox fetches `rel="next"`, and every browser `rel="prefetch"`: only default-src counts."""
    for page in pages:
        for link in page.soup.find_all("link"):
            (rel,) = link.get_attribute_list("rel")
            if rel not in {"index", "prev", "search", "canonical"}:  # they only name a page
                directive = PRELOADED[link["as"]] if rel == "preload" else LINKED[rel]
                assert directives(page)[directive] != {"'none'"}, f"{page}: {link}"


def test_the_link_to_the_next_page_stays_at_the_foot(pages: list[Page]) -> None:
    files = toc_files()
    found = {str(page): page for page in pages}
    for name, following in pairwise(files):
        (link,) = found[f"{name}.html"].soup.select("a.right-next")
        assert found[f"{name}.html"].file(str(link["href"])) == found[f"{following}.html"].path


def test_what_firefox_would_fetch_in_advance_goes() -> None:
    links = '<link rel="prev" href="a.html" />\n<a class="right-next" href="b.html">next</a>'
    html = add_policy(f'{HEAD}    <link rel="next" title="B &gt; A" href="b.html" />\n{links}')
    assert 'rel="next"' not in html
    assert html.endswith(links)


def test_the_policy_comes_before_all_that_it_is_about(pages: list[Page]) -> None:
    for page in pages:
        head = page.soup.head
        assert head is not None
        first, second, *_ = head.find_all(True)
        assert first.get("charset") == "utf-8"
        assert second.get("http-equiv") == "Content-Security-Policy"


def test_a_page_that_is_changed_again_has_one_policy() -> None:
    once = add_policy(f"{HEAD}<script>let a;</script>")
    assert once.count("Content-Security-Policy") == 1
    assert add_policy(once) == once
    longer = add_policy(once.replace("let a;", "let b;"))
    assert longer.count("Content-Security-Policy") == 1
    assert longer != once


def test_scripts_are_named_by_hash_and_data_is_not() -> None:
    # The example of https://www.w3.org/TR/CSP3/#framework-directive-source-list.
    sha = "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
    assert f"script-src 'self' {sha};" in policy("<script>alert('Hello, world.');</script>")
    for data in ('<script type="application/json">{}</script>', '<script src="a.js"></script>'):
        assert "script-src 'self';" in policy(data)
    assert "sha256" in policy('<script type="module">1</script>')


def test_only_a_page_that_loads_the_lab_may_compile_webassembly() -> None:
    assert "wasm" in policy('<script type="module" src="../_static/lab/lab.js"></script>')
    assert "wasm" not in policy('<script src="../_static/label.js"></script> _static/lab/')


@pytest.mark.parametrize(
    "html", ['<b onclick="f()">x</b>', '<a href=" JavaScript:f()">x</a>', "<img onerror=f()>"]
)
def test_what_would_not_run_fails_the_build(html: str) -> None:
    with pytest.raises(ValueError, match="forbids"):
        add_policy(HEAD + html)


def test_a_page_without_the_usual_head_fails_the_build() -> None:
    with pytest.raises(ValueError, match="charset"):
        add_policy("<html><head></head></html>")


def test_the_theme_buttons_lose_their_handlers() -> None:
    html = add_policy(f'{HEAD}<button onclick="window.print()"></button>')
    assert '<button data-action="print">' in html


@pytest.fixture(scope="module")
def page(chromium: Any, serve: Any, site: Path) -> Iterator[Any]:
    """A small page of the book in the browser; what is tried there leaves nothing behind."""
    made = chromium.new_page()
    made.goto(f"{serve(site)}/book/references.html")
    yield made
    made.close()


def refusals(page: Any) -> list[str]:
    """What the browser says on the console from now on about the policy."""
    said: list[str] = []

    def heard(message: Any) -> None:
        if "Content Security Policy" in message.text:
            said.append(message.text)

    page.on("console", heard)
    return said


def violated(page: Any, script: str) -> tuple[str, str]:
    """Do something in the page that its policy refuses: the directive, and what was refused."""
    directive, blocked = page.evaluate(
        f"""() => new Promise((resolve) => {{
            document.addEventListener("securitypolicyviolation", (event) =>
                resolve([event.effectiveDirective, event.blockedURI]), {{ once: true }});
            setTimeout(() => resolve(["nothing", "was refused"]), 30_000);
            // Not at once: what the browser's own console runs is above the policy.
            setTimeout(() => {{ {script} }});
        }})"""
    )
    return directive, blocked


OTHER = "http://127.0.0.2:9"
REFUSED = {
    "a script": (
        'document.body.append(Object.assign(document.createElement("script"),'
        ' {text: "window.ran = true"}));',
        ("script-src-elem", "inline"),
    ),
    "a script of another host": (
        'document.body.append(Object.assign(document.createElement("script"),'
        f' {{src: "{OTHER}/a.js"}}));',
        ("script-src-elem", f"{OTHER}/a.js"),
    ),
    "a handler": (
        'document.body.insertAdjacentHTML("beforeend", `<img src="data:," onerror="ran = true">`);',
        ("script-src-attr", "inline"),
    ),
    "text as code": (
        "try { new Function('window.ran = true')() } catch { }",
        ("script-src", "eval"),
    ),
    "a request": (f'fetch("{OTHER}/data").catch(() => {{}});', ("connect-src", f"{OTHER}/data")),
    "a beacon": (f'navigator.sendBeacon("{OTHER}/b");', ("connect-src", f"{OTHER}/b")),
    "a picture": (f'new Image().src = "{OTHER}/a.png";', ("img-src", f"{OTHER}/a.png")),
    "a style sheet": (
        f'document.body.style.backgroundImage = "url({OTHER}/a.png)";',
        ("img-src", f"{OTHER}/a.png"),
    ),
    "a frame": (
        f'document.body.insertAdjacentHTML("beforeend", "<iframe src={OTHER}></iframe>");',
        ("frame-src", OTHER),
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_gets_into_a_page_neither_runs_nor_asks_another_host(what: str, page: Any) -> None:
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))
    script, expected = REFUSED[what]
    directive, blocked = violated(page, script)
    assert (directive, blocked.rstrip("/")) == expected
    assert page.evaluate("window.ran") is None
    # What the policy stops never reaches the network, where it would fail in another way.
    assert {request.failure for request in asked if OTHER in request.url} <= {"csp"}


def test_the_lab_may_compile_webassembly_but_no_text(chromium: Any, serve: Any, site: Path) -> None:
    page = chromium.new_page()
    page.goto(f"{serve(site)}/{LAB}.html")
    page.locator("html[data-lab=wasm-simd]").wait_for(state="attached")
    assert violated(page, "try { new Function('')() } catch { }") == ("script-src", "eval")
    page.close()


def test_the_theme_buttons_still_work(page: Any) -> None:
    said = refusals(page)
    page.evaluate("window.print = () => { window.printed = true }")
    page.get_by_role("button", name="Download this page").click()
    page.locator("[data-action=print]").click()
    assert page.evaluate("window.printed") is True
    page.locator("[data-action=fullscreen]").click()
    page.wait_for_function("() => document.fullscreenElement !== null")
    page.locator("[data-action=fullscreen]").click()
    page.wait_for_function("() => document.fullscreenElement === null")
    assert said == []


def test_the_console_says_what_was_refused(page: Any) -> None:
    """So the tests that read the console of every page see each refusal."""
    said = refusals(page)
    violated(page, REFUSED["a script"][0])
    page.wait_for_timeout(100)
    assert any(re.search("inline script", text) for text in said)
