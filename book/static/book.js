/* The theme lets the keyboard reach boxes that scroll, but measures them before the page has
   its final layout, and again only when something changes. So something changes once more. */
addEventListener("load", () => dispatchEvent(new Event("resize")));
