/** Small helpers for the page's elements. Nothing here makes elements from strings of HTML. */

type Attribute = string | number | boolean | undefined;

/** Make an element with attributes and children; `class: "x"`, `hidden: true`, `tabindex: 0`. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, Attribute> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
  made.append(...children);
  return made;
}

/** Make an element of a drawing. */
export function svgElement<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, Attribute> = {},
): SVGElementTagNameMap[Tag] {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(made, name, value);
  return made;
}

/** Set an attribute; `false` and `undefined` take it away. Writes only what changed. */
export function setAttribute(target: Element, name: string, value: Attribute): void {
  if (value === false || value === undefined) {
    if (target.hasAttribute(name)) target.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (target.getAttribute(name) !== text) target.setAttribute(name, text);
}

/** Set an element's text, if it changed: it is called many times a second. */
export function setText(target: Element, text: string): void {
  const { firstChild } = target;
  // New words in the old node cost the browser less than a new node.
  if (firstChild instanceof Text && firstChild === target.lastChild) {
    if (firstChild.data !== text) firstChild.data = text;
  } else if (target.textContent !== text) target.textContent = text;
}

/** A button with its words and what it does. */
export function button(text: string, onclick: () => void, kind = "lab-button"): HTMLButtonElement {
  const made = element("button", { type: "button", class: kind }, text);
  made.addEventListener("click", onclick);
  return made;
}

/** A small button, for what is not done often. */
export function quietButton(text: string, onclick: () => void): HTMLButtonElement {
  return button(text, onclick, "lab-button lab-quiet");
}

/** Where arrow keys lead: columns to the right and rows down. */
export const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Whether a key is pressed together with others, and so meant for the browser. */
export function isShortcut(event: KeyboardEvent): boolean {
  return event.ctrlKey || event.metaKey || event.altKey;
}

let counter = 0;

/** A new id for an element that another one names. */
export function newId(stem: string): string {
  counter += 1;
  return `lab-${stem}-${counter}`;
}

/** An element of the page that the page's own text must hold. */
export function mount(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/** Call `action` once, `milliseconds` after the last call of what is returned. */
export function afterwards(milliseconds: number, action: () => void): () => void {
  let timer = 0;
  return () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(action, milliseconds);
  };
}

/** Whether the reader has asked for less motion. */
export function wantsLessMotion(): boolean {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/**
 * Call `action` with the width inside an element's padding, now and whenever it changes. What it
 * does to sizes must wait for a frame: if it is done at once, browsers report an error.
 */
export function watchWidth(target: HTMLElement, action: (width: number) => void): void {
  let known = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width === known || width <= 0) return;
    known = width;
    action(width);
  }).observe(target);
}
