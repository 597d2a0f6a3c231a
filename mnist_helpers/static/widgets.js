// The controls of the book's pictures. Python (mnist_helpers/widgets.py) writes a figure with
// the picture it starts from and its data as JSON; this script adds the controls. Where it
// does not run, the figure is a picture with its caption, and there is no dead control.
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

  /** A slider over labels; `changed` is called when the reader moves it. */
  function slider(name, labels, start, changed) {
    const input = make("input", { type: "range", min: 0, max: labels.length - 1, value: start });
    const shown = make("span", { className: "value", "aria-hidden": "true" });
    const say = () => {
      shown.textContent = labels[input.value];
      input.setAttribute("aria-valuetext", labels[input.value]);
    };
    input.addEventListener("input", () => {
      say();
      changed();
    });
    say();
    return {
      element: make("label", {}, name, input, shown),
      get index() {
        return Number(input.value);
      },
      set index(index) {
        input.value = index;
        say();
      },
    };
  }

  /** A row of radio buttons, with the same interface as a slider. */
  function choice(name, labels, start, changed) {
    const group = `choice-${Math.random().toString(36).slice(2)}`;
    const inputs = labels.map((_, index) =>
      make("input", { type: "radio", name: group, checked: index === start, onchange: changed }),
    );
    const rows = labels.map((label, index) => make("label", {}, inputs[index], label));
    return {
      element: make("fieldset", {}, make("legend", {}, name), ...rows),
      get index() {
        return inputs.findIndex((input) => input.checked);
      },
      set index(index) {
        inputs[index].checked = true;
      },
    };
  }

  /** Buttons that go one step back or on, and one that plays: `go` shows place 0 to count - 1. */
  function steps(count, place, go, caption) {
    let timer = 0;
    const play = make("button", { type: "button", textContent: "Play", onclick: toggle });
    function stop() {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
      caption.setAttribute("aria-live", "polite");
    }
    function move(by) {
      stop();
      go((place() + by + count) % count);
    }
    function toggle() {
      if (timer) return stop();
      // Every step read aloud would be noise.
      caption.setAttribute("aria-live", "off");
      play.textContent = "Pause";
      if (place() === count - 1) go(0);
      timer = setInterval(() => {
        if (!play.isConnected || place() === count - 1) stop();
        else go(place() + 1);
      }, Math.max(150, Math.min(900, 20000 / count)));
    }
    const back = make("button", { type: "button", textContent: "Back", onclick: () => move(-1) });
    const next = make("button", { type: "button", textContent: "Next", onclick: () => move(1) });
    return { element: make("span", { className: "steps" }, back, " ", play, " ", next), stop };
  }

  /** Pictures made beforehand, one for each position of the controls. */
  function frames(figure, data) {
    const picture = figure.querySelector("img");
    const caption = figure.querySelector("figcaption");
    // The picture that the figure starts from is not stored a second time.
    const images = data.images.map((source) => source ?? picture.src);
    let buttons = null;
    const changed = () => {
      buttons?.stop();
      show();
    };
    const controls = data.controls.map(({ labels, name, slides, start }) =>
      (slides ? slider : choice)(name, labels, start, changed),
    );
    function show() {
      const place = controls.reduce(
        (sum, control, number) => sum * data.controls[number].labels.length + control.index,
        0,
      );
      const [image, alt, text] = data.frames[place];
      picture.src = images[image];
      picture.alt = alt;
      caption.textContent = text;
    }
    const bar = make("div", { className: "controls" }, ...controls.map(({ element }) => element));
    if (data.play) {
      const [control] = controls;
      const go = (index) => {
        control.index = index;
        show();
      };
      buttons = steps(data.frames.length, () => control.index, go, caption);
      bar.append(buttons.element);
    }
    figure.prepend(bar);
  }

  /** The mistakes of a network, reached through its confusion matrix. */
  function mistakes(figure, data) {
    const caption = figure.querySelector("figcaption");
    const list = make("ol", { className: "digits", tabIndex: 0, "aria-label": "Mistakes" });
    const sheet = new Image();
    const table = figure.querySelector("table");
    const buttons = [...table.rows].map(() => []);
    let [pressed, tabStop] = [null, null];

    /** The mistakes of one cell, row or column; null stands for every class. */
    function chosen(truth, guess) {
      return data.mistakes
        .map((mistake, place) => [place, ...mistake])
        .filter(
          ([, , label, prediction]) =>
            (truth === null || label === truth) && (guess === null || prediction === guess),
        );
    }

    function where(truth, guess) {
      const words = [
        ...(truth === null ? [] : [`true ${truth}`]),
        ...(guess === null ? [] : [`predicted ${guess}`]),
      ];
      return words.join(", ") || "all classes";
    }

    function digit([place, index, label, prediction, ofLabel, ofPrediction]) {
      const canvas = make("canvas", { width: 28, height: 28, role: "img" });
      canvas.setAttribute("aria-label", `Image ${index}: ${where(label, prediction)}`);
      const [x, y] = [place % data.columns, Math.floor(place / data.columns)];
      canvas.getContext("2d").drawImage(sheet, x * 28, y * 28, 28, 28, 0, 0, 28, 28);
      const lines = [
        `Image ${index}`,
        `true ${label}: ${ofLabel}`,
        `predicted ${prediction}: ${ofPrediction}`,
      ];
      return make("li", {}, canvas, ...lines.flatMap((line) => [line, make("br")]).slice(0, -1));
    }

    function show(truth, guess, button) {
      const found = chosen(truth, guess);
      list.replaceChildren(...found.map(digit));
      list.scrollTop = 0;
      const many = found.length === 1 ? "1 mistake" : `${found.length} mistakes`;
      caption.textContent =
        `${where(truth, guess)}: ${many}, the surest first, ` +
        "with the probabilities of the true and of the predicted class.";
      pressed?.setAttribute("aria-pressed", "false");
      pressed = button;
      pressed.setAttribute("aria-pressed", "true");
      stopAt(button);
    }

    function stopAt(button) {
      if (tabStop) tabStop.tabIndex = -1;
      tabStop = button;
      tabStop.tabIndex = 0;
    }

    // The cells become buttons: those with mistakes, and the heads of rows and columns.
    [...table.rows].forEach((row, y) => {
      [...row.cells].forEach((cell, x) => {
        const [truth, guess] = [y ? y - 1 : null, x ? x - 1 : null];
        const number = chosen(truth, guess).length;
        if (number === 0) return;
        const button = make("button", {
          type: "button",
          textContent: cell.textContent || "all",
          tabIndex: -1,
          "aria-label": `${where(truth, guess)}: ${number}`,
          "aria-pressed": "false",
          onclick: () => show(truth, guess, button),
        });
        cell.replaceChildren(button);
        buttons[y][x] = button;
      });
    });

    // Arrow keys go to the next button in their direction; Tab goes to one of them only.
    const arrows = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
    };
    table.addEventListener("keydown", (event) => {
      const [dy, dx] = arrows[event.key] ?? [];
      const cell = event.target.closest("td, th");
      if (dy === undefined || !cell) return;
      event.preventDefault();
      let [y, x] = [cell.parentNode.rowIndex + dy, cell.cellIndex + dx];
      while (y >= 0 && x >= 0 && y < buttons.length && x < table.rows[y].cells.length) {
        if (buttons[y][x]) {
          stopAt(buttons[y][x]);
          buttons[y][x].focus();
          return;
        }
        [y, x] = [y + dy, x + dx];
      }
    });

    sheet.onload = () => {
      const [truth, guess] = data.start;
      figure.querySelector("img").replaceWith(list);
      show(truth, guess, buttons[truth + 1][guess + 1]);
    };
    sheet.src = data.sheet;
  }

  /** A filter that slides over a picture, with the products and the sum that it makes. */
  function convolution(figure, data) {
    const { image, kernel, names, places, scale } = data;
    const size = kernel.length;
    const caption = figure.querySelector("figcaption");
    const cells = [...figure.querySelectorAll("td")];
    const pictures = figure.querySelectorAll("img");
    const [input, output] = [...pictures].map((picture) => {
      const { alt, width, height } = picture;
      const canvas = make("canvas", { width, height, role: "img" });
      canvas.setAttribute("aria-label", alt);
      return canvas;
    });
    const colours = new Image();
    const digit = new Image();

    function draw(row, column) {
      let sum = 0;
      cells.forEach((cell, number) => {
        const [y, x] = [Math.floor(number / size), number % size];
        const pixel = image[row + y][column + x] / 255;
        const product = pixel * kernel[y][x];
        sum += product;
        cell.textContent = `${pixel.toFixed(2)} × ${names[y][x]}`;
        const strength = Math.round(255 - 110 * Math.min(1, Math.abs(product) / data.largest));
        const [red, blue] = product < 0 ? [strength, 255] : [255, strength];
        cell.style.backgroundColor = `rgb(${red}, ${strength}, ${blue})`;
      });
      // Adding zero turns -0 into 0.
      const text = (Number(sum.toFixed(2)) + 0).toFixed(2).replace("-", "−");
      caption.textContent = `Row ${row}, column ${column}: the ${size * size} products add up to ${text}.`;

      const ink = input.getContext("2d");
      ink.imageSmoothingEnabled = false;
      ink.drawImage(digit, 0, 0, input.width, input.height);
      ink.strokeStyle = "#d95f02";
      ink.lineWidth = 3;
      ink.strokeRect(column * scale, row * scale, size * scale, size * scale);

      const map = output.getContext("2d");
      map.imageSmoothingEnabled = false;
      map.fillStyle = "#ddd";
      map.fillRect(0, 0, output.width, output.height);
      const part = (x, y, width, height) => {
        if (width && height)
          map.drawImage(
            colours,
            ...[x, y, width, height],
            ...[x * scale, y * scale, width * scale, height * scale],
          );
      };
      part(0, 0, places, row);
      part(0, row, column + 1, 1);
      map.strokeStyle = "#d95f02";
      map.lineWidth = 2;
      map.strokeRect(column * scale, row * scale, scale, scale);
    }

    const labels = Array.from({ length: places }, (_, place) => String(place));
    const changed = () => {
      buttons.stop();
      draw(rows.index, columns.index);
    };
    const rows = slider("Row", labels, data.start[0], changed);
    const columns = slider("Column", labels, data.start[1], changed);
    const go = (place) => {
      rows.index = Math.floor(place / places);
      columns.index = place % places;
      draw(rows.index, columns.index);
    };
    const place = () => rows.index * places + columns.index;
    const buttons = steps(places * places, place, go, caption);

    // A click puts the middle of the filter there; in the output, the place itself.
    [input, output].forEach((canvas, number) =>
      canvas.addEventListener("click", (event) => {
        const box = canvas.getBoundingClientRect();
        const zoom = box.width / canvas.width;
        const inside = (offset) => {
          const pixel = Math.floor(offset / zoom / scale) - (number ? 0 : size >> 1);
          return Math.max(0, Math.min(places - 1, pixel));
        };
        buttons.stop();
        go(inside(event.clientY - box.top) * places + inside(event.clientX - box.left));
      }),
    );

    digit.onload = () => {
      colours.onload = () => {
        pictures[0].replaceWith(input);
        pictures[1].replaceWith(output);
        const bar = [rows.element, columns.element, buttons.element];
        figure.prepend(make("div", { className: "controls" }, ...bar));
        draw(rows.index, columns.index);
      };
      colours.src = data.colours;
    };
    digit.src = data.digit;
  }

  const kinds = { frames, mistakes, convolution };
  for (const figure of document.querySelectorAll("figure.mnist-widget:not(.is-live)")) {
    const data = figure.querySelector('script[type="application/json"]');
    if (!data) continue;
    figure.classList.add("is-live");
    // JupyterLab would take the arrows and Enter for commands to the notebook, and the controls
    // would stay as they are: this attribute, on what has the focus, tells it not to.
    figure.addEventListener("focusin", ({ target }) =>
      target.setAttribute("data-lm-suppress-shortcuts", ""),
    );
    figure.querySelector("figcaption").setAttribute("aria-live", "polite");
    kinds[figure.dataset.kind](figure, JSON.parse(data.textContent));
  }
})();
