// ---- Picking: what lies under a point of the picture
const paneAt = (x, y) => panes().find(
  (pane) => x >= pane.left && x < pane.left + pane.width && y >= pane.top && y < pane.top + pane.height);

// Return { scan, face, point (of the scan, mm), label } of the surface nearest to the eye under a pixel, or null.
function under(x, y, pane = paneAt(x, y)) {
  if (!pane) return null;
  const px = (x - pane.left - pane.width / 2) / state.scale, py = (pane.top + pane.height / 2 - y) / state.scale;
  let best = null, nearest = -Infinity;
  for (const scan of data.scans.filter(seenOf)) {
    const at = project(scan), { faces, points } = scan, { labels } = resultOf(scan, pane.result);
    for (let f = 0; f < labels.length; f++) {
      const a = 3 * faces[3 * f], b = 3 * faces[3 * f + 1], c = 3 * faces[3 * f + 2];
      const bx = at[b] - at[a], by = at[b + 1] - at[a + 1], cx = at[c] - at[a], cy = at[c + 1] - at[a + 1];
      const whole = bx * cy - by * cx;
      if (!whole || !state.shown[place(labels[f])]) continue;
      const dx = px - at[a], dy = py - at[a + 1];
      const v = (dx * cy - dy * cx) / whole, w = (bx * dy - by * dx) / whole;
      if (v < 0 || w < 0 || v + w > 1) continue;
      const depth = at[a + 2] + v * (at[b + 2] - at[a + 2]) + w * (at[c + 2] - at[a + 2]);
      if (depth <= nearest) continue;
      nearest = depth;
      const point = [0, 1, 2].map((k) => points[a + k] + v * (points[b + k] - points[a + k]) + w * (points[c + k] - points[a + k]));
      best = { scan, face: f, point, label: labels[f] };
    }
  }
  return best;
}

function pick(fdi, scan = null) {
  also.leave();
  [state.picked, state.pickedIn] = [fdi, scan];
  updatePanel();
  redraw();
}
function onlyThis() {
  if (state.picked === null) return;
  state.shown.fill(0);
  state.shown[state.picked] = 1;
  fit();
  updatePanel();
  redraw();
}
function hideThis() {
  if (state.picked === null) return;
  state.shown[state.picked] = 0;
  pick(null);
}
function toggle(fdi) {
  state.shown[fdi] = 1 - state.shown[fdi];
  updatePanel();
  redraw();
}
function showAll() {
  const hidden = state.shown.some((value) => !value);
  state.shown.fill(1);
  if (hidden) fit();
  pick(null);
}
function nextTooth(step) {
  if (pointing()) { crossToTooth(step); return; }
  const teeth = data.scans.filter(seenOf).flatMap((scan) => resultOf(scan).teeth.filter((tooth) => tooth.fdi > 0));
  const order = teeth.map((tooth) => tooth.fdi), at = order.indexOf(state.picked);
  if (order.length) pick(order[(at + step + order.length + (at < 0 && step < 0 ? 1 : 0)) % order.length]);
}
