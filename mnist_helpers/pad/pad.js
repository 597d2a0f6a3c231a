// The pad of mnist_helpers/explore.py, on which a pen, a mouse, a finger or the arrow keys draw.
// Only strokes go to the kernel: a list of numbers each, x and y in turn, from 0 to 1.

const SIZE = 224;
// As thick as in Python (PEN), so that the network sees what the reader draws.
const PEN = 0.07;
// How far an arrow key moves the pen.
const STEP = 0.03;
const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

const within = (value) => Math.round(1000 * Math.min(Math.max(value, 0), 1)) / 1000;

/** Draw strokes as they are, and a ring where the keys' pen is. */
function paint(canvas, strokes, place, lowered) {
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, SIZE, SIZE);
  context.strokeStyle = "#000";
  context.lineWidth = PEN * SIZE;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0] * SIZE, stroke[1] * SIZE);
    for (let i = 0; i < stroke.length; i += 2) context.lineTo(stroke[i] * SIZE, stroke[i + 1] * SIZE);
    context.stroke();
  }
  if (!place) return;
  context.strokeStyle = lowered ? "#d95f02" : "#4c78a8";
  context.lineWidth = 2;
  context.beginPath();
  context.arc(place[0] * SIZE, place[1] * SIZE, (PEN * SIZE) / 2, 0, 7);
  context.stroke();
}

function render({ model, el }) {
  const canvas = document.createElement("canvas");
  canvas.className = "mnist-pad";
  canvas.width = canvas.height = SIZE;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute(
    "aria-label",
    "Pad to draw a digit on. Arrow keys move the pen, the space bar lowers and lifts it.",
  );
  // JupyterLab would take the arrow keys for itself.
  canvas.setAttribute("data-lm-suppress-shortcuts", "true");
  let strokes = [];
  let pointer = null;
  let keys = null;
  let lowered = false;

  const show = () => paint(canvas, strokes, keys, lowered);
  const changed = () => {
    show();
    model.set("strokes", strokes.map((stroke) => [...stroke]));
    model.save_changes();
  };
  const told = () => {
    // While a stroke is being drawn, what comes is older than what is here.
    if (pointer !== null) return;
    strokes = model.get("strokes").map((stroke) => [...stroke]);
    if (!strokes.length) lowered = false;
    show();
  };
  const add = (event) => {
    const box = canvas.getBoundingClientRect();
    strokes.at(-1).push(
      within((event.clientX - box.left) / box.width),
      within((event.clientY - box.top) / box.height),
    );
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || pointer !== null) return;
    canvas.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    keys = null;
    lowered = false;
    strokes.push([]);
    add(event);
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    // A pen reports more often than the page is drawn.
    for (const one of event.getCoalescedEvents?.() ?? []) add(one);
    add(event);
    changed();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      if (event.pointerId === pointer) pointer = null;
    });
  }
  canvas.addEventListener("keydown", (event) => {
    const move = ARROWS[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    keys ??= [0.5, 0.5];
    if (move) keys = keys.map((value, i) => within(value + STEP * move[i]));
    else lowered = !lowered;
    if (!lowered) return show();
    if (move) strokes.at(-1).push(...keys);
    else strokes.push([...keys]);
    changed();
  });
  canvas.addEventListener("blur", () => {
    keys = null;
    lowered = false;
    show();
  });
  model.on("change:strokes", told);
  told();
  el.append(canvas);
  return () => model.off("change:strokes", told);
}

export default { render };
