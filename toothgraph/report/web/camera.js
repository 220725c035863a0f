// ---- The position of each jaw, and the view. Matrices are 3 x 3, as lists of rows. The rows of a view are the directions
// that point to the right, up and to the eye.
const LOOKS = {
  Bite: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], Front: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  Right: [[0, 0, 1], [0, 1, 0], [-1, 0, 0]], Left: [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
};
const OPEN = { upper: [[1, 0, 0], [0, 0, 1], [0, -1, 0]], lower: [[1, 0, 0], [0, 0, -1], [0, 1, 0]] };
const AS_IS = LOOKS.Front, GAP = 8; // mm: gap between two jaws in the bite view. In other views, "apart" moves each jaw by GAP.
const times = (a, b) => a.map((row) => [0, 1, 2].map((k) => row[0] * b[0][k] + row[1] * b[1][k] + row[2] * b[2][k]));
const apply = (m, v) => m.map((row) => row[0] * v[0] + row[1] * v[1] + row[2] * v[2]);
const add = (a, b) => a.map((value, k) => value + b[k]);
const minus = (a, b) => a.map((value, k) => value - b[k]);
const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
function about(x, y) {
  const [cx, sx, cy, sy] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y)];
  return times([[1, 0, 0], [0, cx, -sx], [0, sx, cx]], [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]);
}

for (const scan of data.scans) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  scan.points.forEach((value, at) => {
    low[at % 3] = Math.min(low[at % 3], value);
    high[at % 3] = Math.max(high[at % 3], value);
  });
  [scan.middle, scan.size] = [low.map((value, k) => (value + high[k]) / 2), minus(high, low)];
}

// The rotation and shift of a jaw itself. In the bite view, the jaws are opened like a book, as in a tooth chart: upper above
// lower. In other views, each jaw stays as it lies, or is moved apart from the other.
function standing(scan) {
  const up = scan.jaw === "upper" ? 1 : -1, two = data.scans.length > 1;
  if (!state.chart) return { turn: AS_IS, shift: [0, two && state.apart ? up * GAP : 0, 0] };
  const turn = OPEN[scan.jaw] || OPEN.lower;
  const beside = two && state.jaws.every(Boolean) ? up * (scan.size[2] + GAP) / 2 : 0;
  return { turn, shift: minus([0, beside, 0], apply(turn, scan.middle)) };
}

// The rotation and shift from the points of a jaw to the view. In the view, x points to the right, y up and z to the eye, in mm;
// 0 is the middle of the picture.
function transform(scan) {
  const { turn, shift } = standing(scan);
  const moved = apply(state.turn, minus(shift, state.centre));
  return { turn: times(state.turn, turn), shift: [moved[0] - state.pan[0], moved[1] - state.pan[1], moved[2]] };
}
function project(scan) {
  const { turn: m, shift: s } = transform(scan), from = scan.points, to = new Float32Array(from.length);
  for (let at = 0; at < from.length; at += 3) {
    const x = from[at], y = from[at + 1], z = from[at + 2];
    for (let k = 0; k < 3; k++) to[at + k] = m[k][0] * x + m[k][1] * y + m[k][2] * z + s[k];
  }
  return to;
}

// The least and the greatest coordinates of all shown faces, in the view; null if none is shown.
function extent() {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (const scan of data.scans.filter(seenOf)) {
    const at = project(scan);
    const labels = panes().map((pane) => resultOf(scan, pane.result).labels);
    for (let f = 0; f < labels[0].length; f++) {
      if (!labels.some((own) => state.shown[place(own[f])])) continue;
      for (let corner = 3 * f; corner < 3 * f + 3; corner++) {
        for (let k = 0; k < 3; k++) {
          const value = at[3 * scan.faces[corner] + k];
          if (value < low[k]) low[k] = value;
          if (value > high[k]) high[k] = value;
        }
      }
    }
  }
  return low[0] > high[0] ? null : { low, high };
}

// Centre the shown faces, and let them fill the picture.
function fit() {
  [state.centre, state.pan, state.fitted] = [[0, 0, 0], [0, 0], true];
  const found = extent();
  if (!found) return;
  const { low, high } = found;
  const middle = low.map((value, k) => (value + high[k]) / 2); // in the view. The inverse of a rotation is its transpose.
  state.centre = [0, 1, 2].map((k) => state.turn[0][k] * middle[0] + state.turn[1][k] * middle[1] + state.turn[2][k] * middle[2]);
  const [wide, tall] = [high[0] - low[0] + 1, high[1] - low[1] + 1];
  const words = sides()?.some((end) => end.length > 1) ? 100 : 56; // pixels for the words at both edges
  const scaleIn = (width, height) => Math.min((width - words) / wide, (height - 76) / tall, 60); // pixels per mm
  const { width, height } = state;
  state.beside = scaleIn(width / 2, height) > scaleIn(width, height / 2); // where two panes become larger
  state.scale = scaleIn(panes()[0].width, panes()[0].height);
  state.reach = Math.max(...data.scans.map((scan) => Math.hypot(...scan.size))) * 2; // range of the depth buffer, mm
}

function setView(name) {
  [state.view, state.chart, state.turn] = [name, name === "Bite", LOOKS[name]];
  fit();
}
