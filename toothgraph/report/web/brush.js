// ---- The brush: a stroke paints the number of the picked tooth, or gingiva, on the faces around its way
// A stroke waits for steps that may change the number of the picked tooth, if it paints this number. It is shown after them.
function beginStroke(found, alt) {
  const gum = alt || state.picked === null;
  const stroke = { scan: found.scan, faces: new Set(), way: [found], behind: gum ? () => false : renumbers };
  review.stroke = stroke;
  after(stroke.behind, () => {
    if (stroke.dropped) return;
    stroke.to = gum || state.picked === null ? 0 : state.picked;
    stroke.way.forEach((one) => brush(stroke, one));
    stroke.way = null; // from now on, it is painted at once
  });
}
function brushAt(found) {
  const { stroke } = review;
  if (!stroke || !found || found.scan !== stroke.scan) return;
  if (stroke.way) stroke.way.push(found); else brush(stroke, found);
}
// Paint on the way from the last place of the pointer, which is told only now and then, to this one.
function brushTo(x, y) {
  if (!review.stroke) return;
  const { place: [fromX, fromY] = [x, y] } = review.stroke, reach = review.size * state.scale;
  const steps = Math.min(Math.ceil(Math.hypot(x - fromX, y - fromY) / reach) || 1, 20);
  for (let k = 1; k <= steps; k++) brushAt(under(fromX + (x - fromX) * k / steps, fromY + (y - fromY) * k / steps));
  review.stroke.place = [x, y];
}
function endStroke() {
  const { stroke } = review;
  review.stroke = null;
  if (stroke) after(stroke.behind, () => painted(stroke));
}
// Take the stroke off again: it was the first finger of two.
function dropStroke() {
  const { stroke } = review;
  review.stroke = null;
  if (!stroke) return;
  stroke.dropped = true;
  restored(stroke.scan, stroke.faces);
}
function brush({ scan, faces, to }, found) {
  const { labels } = resultOf(scan), seen = (face) => labels[face] !== to && state.shown[place(labels[face])];
  const fresh = facesNear(scan, found, review.size).filter(seen);
  fresh.forEach((face) => { faces.add(face); labels[face] = to; });
  relabelled(scan, fresh);
  redraw();
}
function painted({ scan, faces, to }) {
  const sorted = [...faces].sort((a, b) => a - b);
  if (sorted.length) take(scan, { kind: "paint", to, faces: sorted });
}
// The faces within `radius` mm of a point, on the visible side. A grid of cells of 2 mm holds the middles of all faces.
const CELL = 2;
function gridOf(scan) {
  if (scan.grid) return scan.grid;
  const { faces, points } = scan, count = faces.length / 3, middles = new Float32Array(faces.length), cells = new Map();
  for (let f = 0; f < count; f++) {
    for (let k = 0; k < 3; k++) middles[3 * f + k] = (points[3 * faces[3 * f] + k] + points[3 * faces[3 * f + 1] + k] + points[3 * faces[3 * f + 2] + k]) / 3;
    const key = cellOf(middles[3 * f], middles[3 * f + 1], middles[3 * f + 2]);
    if (cells.has(key)) cells.get(key).push(f); else cells.set(key, [f]);
  }
  scan.grid = { middles, cells };
  return scan.grid;
}
const cellOf = (x, y, z) => (Math.floor(x / CELL) + 512) * 1048576 + (Math.floor(y / CELL) + 512) * 1024 + Math.floor(z / CELL) + 512;
function facesNear(scan, { point: [x, y, z], face }, radius) {
  const { middles, cells } = gridOf(scan), reach = Math.ceil(radius / CELL), found = [face], normal = normalOf(scan, face);
  for (let i = -reach; i <= reach; i++) for (let j = -reach; j <= reach; j++) for (let k = -reach; k <= reach; k++) {
    for (const f of cells.get(cellOf(x + i * CELL, y + j * CELL, z + k * CELL)) || []) {
      if (length(middles[3 * f] - x, middles[3 * f + 1] - y, middles[3 * f + 2] - z) > radius || f === face) continue;
      const own = normalOf(scan, f);
      if (own[0] * normal[0] + own[1] * normal[1] + own[2] * normal[2] > 0) found.push(f); // leave out the surface on the other side
    }
  }
  return found;
}
function normalOf({ faces, points }, f) {
  const [a, b, c] = [3 * faces[3 * f], 3 * faces[3 * f + 1], 3 * faces[3 * f + 2]];
  const [ux, uy, uz, vx, vy, vz] = [points[b] - points[a], points[b + 1] - points[a + 1], points[b + 2] - points[a + 2], points[c] - points[a], points[c + 1] - points[a + 1], points[c + 2] - points[a + 2]];
  return [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
}
