// Exercises that are answered in the page. Python (mnist_helpers/exercises) writes a question and,
// as JSON, hashes of the right answer and of the foreseen ones with what to say to each; this
// script adds a field or radio buttons, and says it. Where it does not run, the question stays.
// A notebook carries the script in its outputs; the site loads it once a page.
(() => {
  "use strict";

  /** Make an element from its properties and its children. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /** FNV-1a, 32 bits, as mnist_helpers/exercises/_page.py has it. */
  function hashed(text) {
    let value = 0x811c9dc5;
    for (const character of text)
      value = Math.imul(value ^ character.charCodeAt(0), 0x01000193) >>> 0;
    return value.toString(16).padStart(8, "0");
  }

  // What a reader wrote, as the key that Python has for it; null if it cannot be read.
  const read = {
    number(text, { decimals }) {
      // A typographer's minus, 3,600 and 11% are numbers too.
      let plain = text.replace(/[\s\u2009\u202f]/g, "").replace("−", "-").replace(/%$/, "");
      if (/^-?\d{1,3}(,\d{3})+(\.\d*)?$/.test(plain)) plain = plain.replaceAll(",", "");
      if (!/^[-+]?(\d+\.?\d*|\.\d+)$/.test(plain)) return null;
      const number = Number(plain);
      if (decimals === 0 && number % 1 !== 0) return null;
      return String(Math.floor(number * 10 ** decimals + 0.5));
    },
    shape(text) {
      const sizes = text.replace(/[[\]()\s]/g, "").toLowerCase().split(",");
      if (!sizes.every((size) => /^(\d+|n|none)$/.test(size))) return null;
      return sizes.map((size) => (/^\d/.test(size) ? String(Number(size)) : "n")).join(",");
    },
    choice(text) {
      return text;
    },
  };

  /** Which kind of reply an answer gets, and its words. */
  function reply(text, kind, data) {
    const key = text.trim() === "" ? null : read[kind](text, data);
    if (key === null) return ["unread", data.wanted];
    const hash = hashed(`${data.name}:${key}`);
    const place = data.sheet.findIndex(([hashes]) => hashes.includes(hash));
    if (place < 0) return ["wrong", data.otherwise];
    return [place === 0 ? "right" : "wrong", data.sheet[place][1]];
  }

  /** A field with the question as its label; `text` gives what is in it. */
  function field(question, data) {
    const id = `answer-${Math.random().toString(36).slice(2)}`;
    const input = make("input", {
      ...{ id, type: "text", autocomplete: "off", spellcheck: false },
      ...{ "aria-describedby": `${id}-wanted`, autocapitalize: "off", enterKeyHint: "done" },
    });
    const label = make("label", { className: "question", htmlFor: id }, ...question.childNodes);
    const wanted = make("p", { className: "wanted", id: `${id}-wanted` }, data.wanted);
    return { parts: [label, wanted], control: input, text: () => input.value };
  }

  /** Radio buttons in a group that has the question as its name. */
  function options(question, list) {
    const name = `answer-${Math.random().toString(36).slice(2)}`;
    const rows = [...list.children].map((item, place) => {
      const value = String.fromCharCode("a".charCodeAt(0) + place);
      const button = make("input", { type: "radio", name, value });
      return make("label", {}, button, make("span", {}, ...item.childNodes));
    });
    const legend = make("legend", { className: "question" }, ...question.childNodes);
    const group = make("fieldset", {}, legend, ...rows);
    list.remove();
    return {
      parts: [group],
      control: null,
      text: () => group.querySelector("input:checked")?.value ?? "",
    };
  }

  function enliven(box, data) {
    const { kind } = box.dataset;
    const question = box.querySelector(".question");
    const list = box.querySelector("ol");
    const { control, parts, text } = list ? options(question, list) : field(question, data);
    const verdict = make("p", { className: "verdict", role: "status" });
    const button = make("button", { type: "submit", textContent: "Check" });
    const attempt = make("div", { className: "attempt" }, ...(control ? [control] : []), button);
    const form = make("form", { noValidate: true }, ...parts, attempt, verdict);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      [verdict.dataset.verdict, verdict.textContent] = reply(text(), kind, data);
    });
    // The browser does this itself, but JupyterLab takes the key from it.
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target === button) return;
      event.preventDefault();
      form.requestSubmit();
    });
    // What was said is about the previous answer.
    form.addEventListener("input", () => {
      verdict.textContent = "";
      delete verdict.dataset.verdict;
    });
    // JupyterLab would take Enter and the arrows for commands to the notebook.
    form.addEventListener("focusin", ({ target }) =>
      target.setAttribute("data-lm-suppress-shortcuts", ""),
    );
    question.remove();
    box.querySelector(".how").remove();
    box.prepend(form);
  }

  for (const box of document.querySelectorAll(".mnist-answer:not(.is-live)")) {
    const data = box.querySelector('script[type="application/json"]');
    if (!data) continue;
    box.classList.add("is-live");
    enliven(box, JSON.parse(data.textContent));
  }
})();
