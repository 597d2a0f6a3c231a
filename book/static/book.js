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

/* A chapter says how far one has come, and remembers on this computer alone that it was read to
   its end. Where nothing can be remembered (some browsers, for pages from a file), nothing is. */
const READ = "chapters-read";

/** The folder and the name of a page, which stay the same wherever the site lies. */
const nameOf = (address) => new URL(address, location.href).pathname.split("/").slice(-2).join("/");

function chaptersRead() {
  try {
    const names = JSON.parse(localStorage.getItem(READ) ?? "[]");
    return new Set(Array.isArray(names) ? names : []);
  } catch {
    return new Set();
  }
}

function tick() {
  const read = chaptersRead();
  for (const link of document.querySelectorAll(".bd-sidebar-primary a.reference.internal")) {
    if (!read.has(nameOf(link.href)) || link.classList.contains("is-read")) continue;
    link.classList.add("is-read");
    const words = document.createElement("span");
    words.className = "visually-hidden";
    words.textContent = " (read)";
    link.append(words);
  }
}

function remember() {
  try {
    localStorage.setItem(READ, JSON.stringify([...chaptersRead().add(nameOf(location.href))]));
  } catch {
    return;
  }
  tick();
}

function follow() {
  const line = document.createElement("div");
  line.className = "reading-progress";
  document.body.append(line);
  const article = document.querySelector(".bd-article");
  const draw = () => {
    const { top, height } = article.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, -top / Math.max(1, height - innerHeight)));
    line.style.transform = `scaleX(${share})`;
  };
  addEventListener("scroll", draw, { passive: true });
  addEventListener("resize", draw);
  draw();
  const end = document.querySelector(".prev-next-area");
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    remember();
  }).observe(end);
}

tick();
if (document.querySelector(".chapter-line")) follow();
