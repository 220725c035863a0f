// ---- A cross on the surface. Keys move it, so that the ruler and the tools work without a mouse.
const ACROSS = [1, 2, 4, 8, 16, 32]; // how many steps ahead the cross looks for the surface, beyond a gap
const pointing = () => state.measuring || Boolean(also.tool?.press || also.tool?.click);
function crossShown() {
  const cross = state.cross;
  return pointing() && cross && seenOf(cross.scan) && state.shown[place(labelAt(cross))] ? cross : null;
}
const labelAt = ({ scan, face }) => resultOf(scan, panes()[0].result).labels[face];
const crossPlace = (pane, { scan, point }) => flattened(pane, scan)(point);

// Move the cross by [right, up] times `mm` in the picture. At a gap in the surface, it jumps to the other side.
function moveCross([right, up], mm) {
  const cross = crossShown(), pane = panes()[0];
  if (!cross) { startCross(); return; }
  const [x, y] = crossPlace(pane, cross);
  for (const steps of ACROSS) {
    const far = steps * mm * state.scale, found = under(x + right * far, y - up * far, pane);
    if (found) { setCross(found); return; }
  }
}
// Move the cross from the tooth nearest to it to the next visible tooth (step 1) or the previous one (-1). Without a cross, put it
// on the picked tooth, or else on the first one.
function crossToTooth(step) {
  const pane = panes()[0], places = numberPlaces(pane, 0), order = IN_ROW.filter((fdi) => places.has(fdi));
  if (!order.length) return;
  const cross = crossShown();
  let at = order.indexOf(state.picked) < 0 ? 0 : order.indexOf(state.picked);
  if (cross) {
    const [x, y] = crossPlace(pane, cross);
    const off = order.map((fdi) => { const [px, py] = places.get(fdi); return Math.hypot(pane.left + px - x, pane.top + py - y); });
    at = (off.indexOf(Math.min(...off)) + step + order.length) % order.length;
  }
  const [x, y] = places.get(order[at]);
  setCross(under(pane.left + x, pane.top + y, pane));
}
function startCross() {
  const last = state.ends.at(-1);
  if (last && seenOf(last.scan)) setCross(last);
  else crossToTooth(0);
}
function setCross(found) {
  if (!found) return;
  state.cross = found;
  const pane = panes()[0], [x, y] = crossPlace(pane, found), edge = 20; // pixels. The view moves so that the cross stays in sight.
  const out = (value, low, size) => Math.min(value - low - edge, 0) + Math.max(value - low - size + edge, 0);
  const [dx, dy] = [out(x, pane.left, pane.width), out(y, pane.top, pane.height)];
  if (dx || dy) move(-dx, -dy);
}
// Do what a click at the cross does.
function pressAtCross() {
  const cross = crossShown();
  if (!cross) { if (pointing()) startCross(); return; }
  const found = { ...cross, label: labelAt(cross) };
  if (!state.measuring && also.tool.press) also.tool.press(found);
  else actOn(found);
}
function drawCross(pane) {
  const cross = crossShown();
  if (!cross) return;
  const [x, y] = crossPlace(pane, cross).map((value) => value.toFixed(1)), d = `M${x} ${y}m-11 0h8m6 0h8M${x} ${y}m0 -11v8m0 6v8`;
  mark("path", { class: "halo", d });
  mark("path", { class: "path cross", d });
}
function updateCross() {
  const cross = crossShown(), label = cross && labelAt(cross);
  at("cross").textContent = !cross ? "" : `The cross is on ${label === UNKNOWN ? "a surface without a label" : label ? `${numberOf(label)}, ${nameOf(label)}` : "the gingiva"}.`;
}
