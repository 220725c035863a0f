// ---- Marks over the picture: tooth numbers, right and left, a scale bar, and the line of the ruler
const marks = document.getElementById("marks");
function mark(kind, values, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  marks.append(made);
}
const write = (kind, x, y, text) => mark("text", { class: kind, x: x.toFixed(1), y: y.toFixed(1) }, text);

// What to write at the left and the right edge of the picture: R and L, or front and back, whichever axis of the patient lies
// across the picture. null if neither does, or if the jaw is not known.
function sides() {
  const scan = data.scans.find(seenOf);
  if (!scan || scan.jaw === "unknown") return null;
  const [across] = transform(scan).turn;
  const [left, front] = [across[0], across[2]];
  if (Math.max(Math.abs(left), Math.abs(front)) < 0.6) return null;
  if (Math.abs(left) >= Math.abs(front)) return left > 0 ? ["R", "L"] : ["L", "R"];
  return front > 0 ? ["back", "front"] : ["front", "back"];
}

function drawMarks() {
  marks.replaceChildren();
  marks.setAttribute("viewBox", `0 0 ${state.width} ${state.height}`);
  marks.style.fontSize = `${Math.min(12, Math.max(8, 2.4 * state.scale))}px`; // size of the numbers
  const ends = sides();
  panes().forEach((pane, k) => {
    const [middle, across] = [pane.top + pane.height / 2, [pane.left, pane.left + pane.width]];
    if (k) mark("path", { class: "border", d: pane.top ? `M0 ${pane.top}H${state.width}` : `M${pane.left} 0V${state.height}` });
    if (ends) {
      const inset = 10 + 4 * Math.max(...ends.map((end) => end.length));
      write("side", across[0] + inset, middle, ends[0]);
      write("side", across[1] - inset, middle, ends[1]);
    }
    if (comparison()) write("name", (across[0] + across[1]) / 2, pane.top + 18, data.results[pane.result]);
    if (state.numbers) {
      for (const [fdi, [x, y]] of numberPlaces(pane, k)) write("number", pane.left + x, pane.top + y, numberOf(fdi));
    }
    drawMeasured(pane);
    also.marks(pane);
    drawCross(pane);
  });
  const long = [50, 20, 10, 5, 2, 1].find((mm) => mm * state.scale < state.width / 5) || 1;
  const [x, y] = [16, state.height - 14];
  mark("path", { class: "bar", d: `M${x} ${y - 4}v4h${long * state.scale}v-4`, fill: "none" });
  write("name", x + long * state.scale / 2, y - 10, `${long} mm`);
}

// Return a function that maps a point of a scan to its pixel in the picture.
function flattened(pane, scan) {
  const { turn, shift } = transform(scan);
  return (point) => {
    const [x, y] = add(apply(turn, point), shift);
    return [pane.left + pane.width / 2 + x * state.scale, pane.top + pane.height / 2 - y * state.scale];
  };
}

function drawMeasured(pane) {
  const { ends, measured } = state;
  if (!ends.length || !seenOf(ends[0].scan)) return;
  const flat = flattened(pane, ends[0].scan);
  if (measured && measured.path) {
    const d = "M" + measured.path.map((point) => flat(point).map((v) => v.toFixed(1))).join("L");
    mark("path", { class: "halo", d });
    mark("path", { class: "path", d });
  }
  const dots = ends.map((end) => flat(end.point));
  if (dots.length === 2) mark("path", { class: "straight", d: `M${dots[0]}L${dots[1]}` });
  for (const [cx, cy] of dots) mark("circle", { cx, cy, r: 4, fill: "#000", stroke: "#fff", "stroke-width": 2 });
}
