// ---- Mouse, touch and keys
const held = new Map();
const still = (event) => event.pointerType === "touch" ? 12 : 5; // pixels that the pointer may move during a click
let travelled = 0, painting = null; // id of the pointer that paints
function paintedBy(event) { // whether this pointer has painted; the stroke ends
  if (painting !== event.pointerId) return false;
  painting = null;
  endStroke();
  return true;
}
canvas.addEventListener("pointerdown", (event) => {
  if (!held.size) travelled = 0;
  if (!held.size && also.tool?.begin?.(event)) painting = event.pointerId;
  else if (painting !== null) { // a second finger: they zoom
    dropStroke();
    painting = null;
  }
  held.set(event.pointerId, [event.clientX, event.clientY]);
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointercancel", (event) => { held.delete(event.pointerId); paintedBy(event); });
canvas.addEventListener("pointerup", (event) => {
  const alone = held.delete(event.pointerId) && !held.size;
  if (paintedBy(event)) return;
  if (alone && event.button !== 2 && travelled <= still(event)) clicked(event.offsetX, event.offsetY);
});
canvas.addEventListener("pointermove", (event) => {
  also.tool?.hover?.(event);
  const before = held.get(event.pointerId);
  if (!before) return;
  const spread = () => { const [a, b] = [...held.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
  const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]], wide = held.size === 2 ? spread() : 0;
  held.set(event.pointerId, [event.clientX, event.clientY]);
  travelled += Math.hypot(dx, dy);
  if (painting !== null) {
    if (painting === event.pointerId) also.tool?.stroke?.(event);
    return;
  }
  if (travelled <= still(event)) return;
  if (held.size === 2) {
    zoomBy(spread() / Math.max(wide, 1));
    move(dx / 2, dy / 2);
  } else if (event.shiftKey) move(dx, dy);
  else turnBy(0.01 * dy, 0.01 * dx);
  redraw();
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomBy(Math.exp(-0.0015 * event.deltaY), event.offsetX, event.offsetY);
}, { passive: false });

function move(dx, dy) {
  state.fitted = false;
  state.pan = [state.pan[0] - dx / state.scale, state.pan[1] + dy / state.scale];
}
// Zoom by a factor. The pixel (x, y) stays where it is; by default, the middle of the picture does.
function zoomBy(factor, x, y) {
  const before = state.scale, pane = x === undefined ? null : paneAt(x, y);
  state.fitted = false;
  state.scale = Math.min(400, Math.max(1, state.scale * factor));
  if (pane) {
    const moved = 1 / before - 1 / state.scale;
    state.pan[0] += (x - pane.left - pane.width / 2) * moved;
    state.pan[1] -= (y - pane.top - pane.height / 2) * moved;
  }
  redraw();
}
const clicked = (x, y) => actOn(under(x, y));
function actOn(found) {
  if (state.measuring) {
    if (found) addEnd(found);
  } else if (also.tool?.click) also.tool.click(found);
  else pick(found && found.label > 0 && found.label !== UNKNOWN ? found.label : null, found?.scan);
}

function toggleRuler() {
  state.measuring = !state.measuring;
  [state.ends, state.measured] = [[], null];
  if (state.measuring) canvas.focus({ preventScroll: true }); // arrows move the cross
}
function addEnd(found) {
  if (state.ends.length === 2 || (state.ends.length && state.ends[0].scan !== found.scan)) state.ends = [];
  state.ends = [...state.ends, found];
  state.measured = null;
  if (state.ends.length === 2) setTimeout(showMeasured, 30); // a large scan takes a second, so the ends are drawn first
  updatePanel();
  redraw();
}
function showMeasured() {
  if (state.ends.length !== 2) return;
  state.measured = measure(state.ends[0].scan, ...state.ends);
  updatePanel();
  redraw();
}
function escape() {
  if (review.typedSoFar) {
    forgetTyping();
    tell("");
  } else if (also.tool) {
    also.tool.leave();
  } else if (state.ends.length) [state.ends, state.measured] = [[], null];
  else if (state.measuring) state.measuring = false;
  else showAll();
}
function nextMode() {
  const all = modes().map(([, mode]) => mode);
  setMode(all[(all.indexOf(state.mode) + 1) % all.length]);
}
function turnBy(x, y) {
  [state.fitted, state.view] = [false, null];
  state.turn = times(about(x, y), state.turn);
}

// Arrow keys turn the scan. With the ruler or a tool, they move the cross: by 1 mm, with Shift by 0.1 mm.
const arrow = (right, up) => ({
  act: (event) => { if (pointing()) moveCross([right, up], event.shiftKey ? 0.1 : 1); else turnBy(-0.1 * up, 0.1 * right); },
});
const KEYS = {
  arrows: { name: "← → ↑ ↓", help: "Turn; with the ruler or a tool: move the cross by 1 mm" },
  fine: { name: "Shift + arrow", help: "Move the cross by 0.1 mm" },
  ArrowLeft: arrow(-1, 0), ArrowRight: arrow(1, 0), ArrowUp: arrow(0, 1), ArrowDown: arrow(0, -1),
  " ": { name: "Space", help: "With the ruler or a tool: click at the cross", act: pressAtCross },
  zoom: { name: "+ −", help: "Zoom" },
  "+": { act: () => zoomBy(1.15) }, "=": { act: () => zoomBy(1.15) }, "-": { act: () => zoomBy(1 / 1.15) },
  b: { name: "B", help: "View of the bite, as in a tooth chart", act: () => setView("Bite") },
  f: { name: "F", help: "View from the front", act: () => setView("Front") },
  r: { name: "R", help: "View from the patient's right", act: () => setView("Right") },
  l: { name: "L", help: "View from the patient's left", act: () => setView("Left") },
  ".": { name: ".", help: "Next tooth: pick it, or move the cross there", act: () => nextTooth(1) },
  ",": { name: ",", help: "Previous tooth", act: () => nextTooth(-1) },
  o: { name: "O", help: "Show only the picked tooth", act: onlyThis },
  h: { name: "H", help: "Hide the picked tooth", act: hideThis },
  Escape: { name: "Esc", help: "Stop the tool or the ruler; else show all and pick no tooth", act: escape },
  n: { name: "N", help: "Show or hide the numbers", act: () => { state.numbers = !state.numbers; } },
  c: { name: "C", help: "Next colours", act: nextMode },
  m: { name: "M", help: "Ruler", act: () => { toggleRuler(); if (state.measuring) startCross(); } },
  "?": { name: "?", help: "Open or close this list", act: () => { at("help").open = !at("help").open; } },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("select, input[type=range]") && event.key !== "Escape") return; // there, letters and arrows choose
  const key = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!key || !key.act) return;
  if ((event.key.startsWith("Arrow") || event.key === " ") && event.target !== canvas && event.target !== document.body) return; // there, arrows scroll and Space presses a button
  event.preventDefault();
  key.act(event);
  updatePanel();
  redraw();
});
window.addEventListener("resize", () => {
  const before = Math.min(state.width, state.height);
  measureStage();
  if (state.fitted) fit();
  else state.scale *= Math.min(state.width, state.height) / before;
  redraw();
});
