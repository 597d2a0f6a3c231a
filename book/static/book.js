/* The theme lets the keyboard reach boxes that scroll, but measures them before the page has
   its final layout, and again only when something changes. So something changes once more. */
addEventListener("load", () => dispatchEvent(new Event("resize")));

/* The theme's buttons that do something here and now (tools/page_policy.py marks them). */
const actions = { fullscreen: () => toggleFullScreen(), print: () => print() };
for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", actions[button.dataset.action]);
}
