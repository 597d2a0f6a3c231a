/* The theme lets the keyboard reach boxes that scroll, but measures them before the page has
   its final layout, and again only when something changes. So something changes once more. */
addEventListener("load", () => dispatchEvent(new Event("resize")));

/* The theme leaves the sidebar where it was on the page before, and in Firefox at its top: the
   current chapter can be out of sight there. On a phone the sidebar is a dialog. */
function showCurrent() {
  const item = document.querySelector(".bd-docs-nav .active:not(:has(.active))");
  let box = item?.parentElement;
  while (box && box.scrollHeight <= box.clientHeight + 1) box = box.parentElement;
  if (!box || box === document.documentElement || box === document.body) return;
  const [place, bounds] = [item.getBoundingClientRect(), box.getBoundingClientRect()];
  if (place.top < bounds.top || place.bottom > Math.min(bounds.bottom, innerHeight)) {
    box.scrollTop += place.top - bounds.top - box.clientHeight / 3;
  }
}
addEventListener("load", showCurrent);
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("toggle", showCurrent);
}

/* The theme's buttons that do something here and now (tools/page_policy.py marks them). */
const actions = { fullscreen: () => toggleFullScreen(), print: () => print() };
for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("click", actions[button.dataset.action]);
}
