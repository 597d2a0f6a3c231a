/* The definition of a glossary's term, beside the link that has the pointer or the focus.
   The texts stand in the page (tools/plain_markdown.py). Escape closes the box, and the pointer
   may move onto it. The names stay inside: the window has an open and a close of its own. */
(() => {
  const box = document.createElement("div");
  box.className = "term-definition";
  box.hidden = true;
  document.querySelector(".term-definitions").before(box);
  let shown = null;
  let closing;

  function open(link) {
    clearTimeout(closing);
    if (shown === link) return;
    shown = link;
    const definition = document.getElementById(link.getAttribute("aria-describedby"));
    box.replaceChildren(...definition.cloneNode(true).childNodes);
    box.hidden = false;
    /* Below the line, or above it where there is no room; never beyond the page's edge. */
    const line = link.getClientRects()[0];
    const origin = box.offsetParent.getBoundingClientRect();
    const [width, height] = [box.offsetWidth, box.offsetHeight];
    const left = Math.max(8, Math.min(line.left, document.documentElement.clientWidth - width - 8));
    const below = line.bottom + height + 8 <= innerHeight || line.top < height + 8;
    box.style.left = `${left - origin.left}px`;
    box.style.top = `${(below ? line.bottom : line.top - height) - origin.top}px`;
  }

  function close() {
    shown = null;
    box.hidden = true;
  }

  function closeSoon() {
    closing = setTimeout(close, 200);
  }

  box.addEventListener("pointerenter", () => clearTimeout(closing));
  box.addEventListener("pointerleave", closeSoon);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  for (const link of document.querySelectorAll("a.term")) {
    link.addEventListener("pointerenter", () => open(link));
    link.addEventListener("pointerleave", closeSoon);
    link.addEventListener("focus", () => open(link));
    link.addEventListener("blur", close);
  }
})();
