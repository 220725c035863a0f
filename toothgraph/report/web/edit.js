// ---- Tools that change labels, and changes of the picked tooth
const current = () => data.scans.find((scan) => state.picked !== null && hasTooth(scan, state.picked)) || data.scans.find(seenOf) || data.scans[0];
const hasTooth = (scan, fdi) => resultOf(scan).teeth.some((tooth) => tooth.fdi === fdi);
const rowOf = (fdi) => LOWER_ROW.includes(successorOf(fdi)) ? LOWER_ROW : UPPER_ROW;
// The rows of teeth that a scan may have: the row of its jaw, and the rows of its teeth, since a file may hold both jaws.
function rowsOf(scan) {
  const named = { upper: [UPPER_ROW], lower: [LOWER_ROW] }[scan.jaw] || [];
  const rows = [...new Set([...named, ...resultOf(scan).teeth.map((tooth) => rowOf(tooth.fdi))])];
  return rows.length ? rows : [UPPER_ROW, LOWER_ROW];
}

function tell(text, problem = false, offers = []) {
  [review.said, review.problem, review.offers] = [text, problem, offers];
  updateEdit();
}

// ---- Tools. The chosen one is in `also.tool`.
function chooseTool(name) {
  const now = also.tool?.name === name ? null : TOOLS[name];
  review.points = [];
  also.tool = null;
  if (now && (!now.needs || state.picked !== null)) {
    also.tool = { name, leave: () => chooseTool(name), ...now };
    tell(now.help());
  } else tell(now ? "Pick a tooth first: click it." : "");
  state.measuring = false;
  if (also.tool) canvas.focus({ preventScroll: true }); // arrows move the cross
  document.body.classList.toggle("tooling", Boolean(also.tool));
  at("ring").hidden = !also.tool?.hover;
}
const done = () => { if (also.tool) chooseTool(also.tool.name); };
const toothUnder = (found) => found && found.label > 0 && found.label !== UNKNOWN ? found.label : null;

// Guess a free number for a new tooth at a point: between the two nearest teeth, or next to the nearest one.
function guess(scan, point) {
  const sums = new Map(), { labels } = resultOf(scan), { faces, points } = scan;
  labels.forEach((label, f) => {
    if (label === 0 || label === UNKNOWN) return;
    const sum = sums.get(label) || [0, 0, 0, 0];
    for (let k = 0; k < 3; k++) sum[k] += points[3 * faces[3 * f] + k];
    sum[3] += 1;
    sums.set(label, sum);
  });
  const near = [...sums].map(([fdi, [x, y, z, n]]) => [distance(point, [x / n, y / n, z / n]), fdi]).sort((a, b) => a[0] - b[0]).map(([, fdi]) => fdi);
  if (!near.length) return rowsOf(scan)[0][1];
  const row = rowOf(near[0]), free = (at) => at >= 0 && at < row.length && !sums.has(row[at]);
  const [first, second = first] = near.map((fdi) => row.indexOf(successorOf(fdi))).filter((at) => at >= 0), step = Math.sign(second - first) || 1;
  for (const at of [first + step, first - step, second + step]) if (free(at)) return row[at];
  return row.find((_, at) => free(at)) ?? row[0];
}
// A free number for a second tooth beside `fdi`: the next one behind it, before it, or any of its row.
function nextTo(scan, fdi) {
  const row = rowOf(fdi), at = row.indexOf(successorOf(fdi)), behind = at < 8 ? -1 : 1;
  return [row[at + behind], row[at - behind], ...row].find((number) => number && !hasTooth(scan, number));
}

const pairTool = (kind, text) => ({
  needs: true, help: () => `${text(numberOf(state.picked))} Esc cancels.`,
  click: (found) => {
    const [scan, tooth, to] = [found?.scan, state.picked, toothUnder(found)];
    if (!to || to === tooth || !hasTooth(scan, tooth)) { tell("Click another tooth of the same jaw.", true); return; }
    done();
    take(scan, { kind, tooth, to }).then((good) => good && pick(to));
  },
});
const TOOLS = {
  swap: pairTool("swap", (fdi) => `Click the tooth to swap numbers with ${fdi}.`),
  merge: pairTool("merge", (fdi) => `Click the tooth that ${fdi} is part of.`),
  split: {
    help: () => "Click one half of the tooth, then the other half.",
    click: (found) => {
      if (!toothUnder(found)) { tell("Click on a tooth.", true); return; }
      review.points.push(found);
      if (review.points.length < 2) { tell("Now click the other half. It gets a new number."); redraw(); return; }
      const [one, other] = review.points, to = nextTo(one.scan, one.label);
      done();
      if (!to) { tell("All numbers of this jaw are already used.", true); return; }
      take(one.scan, { kind: "split", to, faces: [one.face, other.face] }).then((good) => good && renumberable(to));
    },
  },
  add: {
    help: () => "Click the middle of a tooth that has no number yet.",
    click: (found) => {
      if (!found) return;
      const to = guess(found.scan, found.point);
      done();
      take(found.scan, { kind: "new", to, faces: [found.face] }).then((good) => good && renumberable(to));
    },
  },
  border: {
    help: () => `Click points around ${state.picked === null ? "the tooth" : numberOf(state.picked)}. Between them, the border snaps to the groove. Enter or a click on the first point closes it.`,
    click: (found) => {
      if (!found) return;
      const [first] = review.points;
      if (first && (found.scan !== first.scan || (review.points.length > 2 && distance(found.point, first.point) < 1))) { also.tool.finish(); return; }
      review.points.push(found);
      redraw();
    },
    finish: () => {
      const points = review.points;
      if (points.length < 3) { tell("A border needs at least 3 points.", true); return; }
      const scan = points[0].scan, to = state.picked !== null && hasTooth(scan, state.picked) ? state.picked : guess(scan, points[0].point);
      done();
      take(scan, { kind: "border", to, faces: points.map((point) => point.face) }).then((good) => good && renumberable(to));
    },
  },
  brush: {
    help: () => `Drag over the surface to paint ${state.picked === null ? "gingiva. To paint a tooth, pick it first" : `${numberOf(state.picked)}. Hold Alt to paint gingiva`}. Drag beside the scan to turn it.`,
    begin: (event) => {
      const found = under(event.offsetX, event.offsetY);
      if (!found || event.button === 2 || event.shiftKey) return false;
      beginStroke(found, event.altKey);
      return true;
    },
    hover: (event) => {
      const size = 2 * review.size * state.scale, ring = at("ring").style;
      [ring.width, ring.height] = [`${size}px`, `${size}px`];
      [ring.left, ring.top] = [`${event.offsetX - size / 2}px`, `${event.offsetY - size / 2}px`];
    },
    stroke: (event) => brushAt(under(event.offsetX, event.offsetY)),
    press: (found) => { beginStroke(found, false); also.tool.end(); },
    end: () => { const { stroke } = review; after(stroke.behind, () => painted(stroke)); },
  },
  clicks: {
    help: () => "This replaces all labels. Click the middle of each tooth, one after another along the arch. Type a number to change that of the next tooth. Backspace removes the last click, Enter finishes.",
    click: (found) => {
      if (!found || (review.points.length && found.scan !== review.points[0].scan)) return;
      const beside = (fdi) => rowOf(fdi)[rowOf(fdi).indexOf(fdi) + 1], before = review.points.at(-1);
      const number = review.next ?? (before ? beside(before.number) : rowsOf(found.scan)[0][1]);
      if (!number || review.points.some((point) => point.number === number)) { tell("Type the number of this tooth first.", true); return; }
      review.points.push({ ...found, number });
      review.next = undefined;
      tell(`${numberOf(number)} is set. Next: ${numberOf(beside(number) ?? "type a number")}. Enter finishes.`);
      redraw();
    },
    finish: () => {
      const points = review.points;
      if (!points.length) { tell("Click a tooth first.", true); return; }
      done();
      take(points[0].scan, { kind: "clicks", faces: points.map((point) => point.face), numbers: points.map((point) => point.number) });
    },
  },
};
// A stroke that paints the number of the picked tooth waits for steps that may change this number. It is shown after them.
const renumbers = (step) => step.kind !== "paint" && step.kind !== "approve";
function beginStroke(found, alt) {
  const gum = alt || state.picked === null;
  const stroke = { scan: found.scan, faces: new Map(), way: [found], behind: gum ? () => false : renumbers };
  review.stroke = stroke;
  after(stroke.behind, () => {
    stroke.to = gum || state.picked === null ? 0 : state.picked;
    stroke.way.forEach((one) => brush(stroke, one));
    stroke.way = null;
  });
}
function brushAt(found) {
  const { stroke } = review;
  if (!found || found.scan !== stroke.scan) return;
  if (stroke.way) stroke.way.push(found); else brush(stroke, found);
}
function brush({ scan, faces, to }, found) {
  const labels = resultOf(scan).labels, fresh = facesNear(scan, found, review.size).filter((face) => labels[face] !== to);
  fresh.forEach((face) => { faces.set(face, labels[face]); labels[face] = to; });
  relabelled(scan, fresh);
  redraw();
}
function painted({ scan, faces, to }) {
  const sorted = [...faces.keys()].sort((a, b) => a - b);
  if (sorted.length) take(scan, { kind: "paint", to, faces: sorted, ...(served ? {} : { before: sorted.map((face) => faces.get(face)) }) });
}
function renumberable(fdi) {
  pick(fdi);
  tell(`It is ${numberOf(fdi)} now. Type another number if that is wrong.`);
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

// ---- Changes of the picked tooth
function renumber(to) {
  const scan = current(), tooth = state.picked;
  if (tooth === null || to === tooth) return;
  if (hasTooth(scan, to)) {
    tell(`${numberOf(to)} is already used.`, true, [
      ["Swap the two numbers", () => take(scan, { kind: "swap", tooth, to }).then((good) => good && pick(to))],
      ["Merge into one tooth", () => take(scan, { kind: "merge", tooth, to }).then((good) => good && pick(to))]]);
    return;
  }
  take(scan, { kind: "renumber", tooth, to }).then((good) => good && pick(to));
}
function shift(step) {
  const tooth = state.picked;
  if (tooth === null) return;
  if (!isTooth(tooth + step)) tell(`${numberOf(tooth)} is the ${step > 0 ? "last" : "first"} number of its quadrant.`, true);
  else take(current(), { kind: "shift", tooth, to: tooth + step }).then((good) => good && pick(tooth + step));
}
const noTooth = () => { if (state.picked !== null) take(current(), { kind: "gingiva", tooth: state.picked }); };
// Undo or redo a step. The picked tooth stays picked, even if its number changes.
function stepped(kind) {
  const own = [], count = new Map();
  let scan, labels;
  take(() => {
    scan = jawOf(kind);
    ({ labels } = resultOf(scan));
    labels.forEach((label, face) => { if (label === state.picked) own.push(face); });
    return scan;
  }, { kind }).then((good) => {
    if (good && !seenOf(scan)) tell(`${kind === "undo" ? "Undone" : "Redone"} in the ${scan.jaw} jaw, which is hidden.`);
    if (!good || !own.length) return;
    for (const face of own) count.set(labels[face], (count.get(labels[face]) || 0) + 1);
    const [[most]] = [...count].sort((a, b) => b[1] - a[1]);
    pick(most > 0 && most !== UNKNOWN ? most : null);
  });
}
const undo = () => stepped("undo");
const redo = () => stepped("redo");
// Approve the jaws that are shown. Nobody has looked at a hidden jaw.
function approve() {
  const open = data.scans.filter((scan) => scan.review.state !== "approved"), hidden = open.find((scan) => !seenOf(scan));
  const asked = served ? open.filter(seenOf).map((scan) => take(scan, { kind: "approve" })) : [];
  if (hidden) Promise.all(asked).then((good) => good.every(Boolean) && tell(
    `${asked.length ? "Only the jaw that is shown is approved" : "Nothing new is approved"}: the ${hidden.jaw} jaw is hidden.`));
}

// Pick the next tooth, from the least confident to the most; teeth that are done are left out.
function nextDoubt() {
  const rows = data.scans.flatMap((scan) => resultOf(scan).teeth).filter((row) => row.fdi > 0 && !review.finished.has(row.fdi));
  rows.sort((a, b) => (a.confidence ?? 1) - (b.confidence ?? 1) || IN_ROW.indexOf(a.fdi) - IN_ROW.indexOf(b.fdi));
  const order = rows.map((row) => row.fdi), at = order.indexOf(state.picked);
  if (order.length) pick(order[(at + 1) % order.length]);
  else tell(`All teeth are done. ${served ? "Approve the scan" : "Download the labels"} if all is right.`);
}
function finishTooth() {
  if (state.picked === null) return;
  review.finished.add(state.picked);
  state.shown[state.picked] = 0;
  nextDoubt();
}
function unfinish() {
  for (const fdi of review.finished) state.shown[fdi] = 1;
  review.finished.clear();
}

// ---- Keys
const whenOpen = (keys) => {
  for (const key of Object.values(keys)) {
    const { act } = key;
    if (act) key.act = (event) => { if (at("edit").open) act(event); };
  }
  return keys;
};
if (editable) Object.assign(KEYS, whenOpen({
  digits: { name: "1 … 9", help: "New number for the picked tooth" },
  g: { name: "G", help: "Make the picked tooth gingiva", act: noTooth },
  "[": { name: "[ ]", help: "Shift the numbers of the picked tooth and those behind it by one", act: () => shift(-1) }, "]": { act: () => shift(1) },
  w: { name: "W", help: "Swap numbers with another tooth", act: () => chooseTool("swap") },
  j: { name: "J", help: "Merge with another tooth", act: () => chooseTool("merge") },
  p: { name: "P", help: "Brush", act: () => chooseTool("brush") },
  u: { name: "U, Ctrl+Z", help: "Undo", act: undo },
  y: { name: "Y, Ctrl+Y", help: "Redo", act: redo },
  d: { name: "D", help: "Next unsure tooth", act: nextDoubt },
  x: { name: "X", help: "Done: hide the picked tooth, go to the next unsure tooth", act: finishTooth },
  ...(served ? {
    s: { name: "S", help: "Split a tooth", act: () => chooseTool("split") },
    t: { name: "T", help: "New tooth", act: () => chooseTool("add") },
    k: { name: "K", help: "Draw a border", act: () => chooseTool("border") },
    a: { name: "A", help: "Approve the scan", act: approve },
  } : {}),
}));
let typing;
function digit(key) {
  if (state.picked === null && also.tool?.name !== "clicks") return;
  clearTimeout(typing);
  review.typedSoFar += key;
  const { fdi, more } = typed(review.typedSoFar, state.picked ?? 0);
  const finish = () => { review.typedSoFar = ""; if (fdi) accept(fdi); else tell("No tooth has this number.", true); };
  if (!more) finish();
  else { tell(`${review.typedSoFar} …`); typing = setTimeout(finish, 1200); }
}
function accept(fdi) {
  if (also.tool?.name === "clicks") { review.next = fdi; tell(`The next click sets ${numberOf(fdi)}.`); } else renumber(fdi);
}
document.addEventListener("keydown", (event) => {
  if (!at("edit")?.open || event.target.closest?.("input, select")) return;
  const letter = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && (letter === "z" || letter === "y")) {
    event.preventDefault();
    if (letter === "y" || event.shiftKey) redo(); else undo();
  } else if (event.ctrlKey || event.metaKey || event.altKey) return;
  else if (/^[0-9]$/.test(event.key)) digit(event.key);
  else if (event.key === "Enter" && event.target === canvas || event.key === "Enter" && event.target === document.body) also.tool?.finish?.();
  else if (event.key === "Backspace" && review.points.length) { review.points.pop(); redraw(); }
});

// ---- Marks over the picture, and the panel
also.marks = (pane) => {
  const at = review.points.map((point) => flattened(pane, point.scan)(point.point));
  if (also.tool?.name === "border" && at.length > 1) mark("path", { class: "straight", d: `M${at.map((one) => one.map((v) => v.toFixed(1))).join("L")}` });
  at.forEach(([cx, cy], k) => {
    mark("circle", { cx, cy, r: 5, fill: "#1f6fa8", stroke: "#fff", "stroke-width": 2 });
    if (review.points[k].number) write("number", cx, cy - 12, numberOf(review.points[k].number));
  });
};
const STATES = { unseen: "not reviewed", corrected: "corrected, not approved", approved: "approved" };
function updateEdit() {
  const scan = current(), own = data.scans.map((one) => one.review), picked = state.picked;
  const labelled = data.scans.length > 1 ? data.scans.map((one) => `${one.jaw}: ${STATES[one.review.state]}`).join("; ") : STATES[own[0].state];
  const alone = own.some((one) => one.version) ? "Labels changed. Download them to keep the changes." : "Changes are kept only if you download the labels.";
  at("stands").textContent = !served ? alone
    : `${upperFirst(labelled)}. ${review.waiting.length ? "Saving …" : own.some((one) => one.version) ? "All steps are saved." : ""}`;
  at("source").textContent = served ? `Labels at the start: ${[...new Set(own.map((one) => one.source || "not known"))].join("; ")}.` : "";
  if (served) {
    at("home").href = withNumbering(review.home);
    at("onward").href = withNumbering(`${review.home}scan/${encodeURIComponent(review.onward)}`);
  }
  const off = (made, when) => { made.disabled = when; return made; };
  const tool = (text, name, title) => {
    const made = button(text, () => chooseTool(name), title);
    made.setAttribute("aria-pressed", also.tool?.name === name);
    return made;
  };
  at("steps").replaceChildren(
    off(button("Undo", undo, "U or Ctrl+Z"), !own.some((one) => one.undo)), off(button("Redo", redo, "Y or Ctrl+Y"), !own.some((one) => one.redo)),
    served ? off(button("Approve", approve, "A: all labels are right"), own.every((one) => one.state === "approved"))
      : button("Download labels", download, "A .txt file with the FDI number of each face. Put it beside the scan."),
    button("Next unsure tooth", nextDoubt, "D: the tooth that the model is least sure of"),
    ...(review.finished.size ? [button(`Show done teeth (${review.finished.size})`, unfinish)] : []));
  at("tooling").replaceChildren(
    ...(served ? [tool("Split", "split", "S: click each half"), tool("New tooth", "add", "T: click a tooth that has no number"),
                  tool("Border", "border", "K: click points around a tooth")] : []),
    tool("Brush", "brush", "P: paint over the surface"),
    ...(served ? [tool("Label by clicks", "clicks", "Replace all labels: click each tooth once")] : []),
    ...(also.tool?.finish ? [button("Finish", () => also.tool.finish(), "Enter")] : []));
  at("brush").hidden = also.tool?.name !== "brush";
  at("size").textContent = `${review.size.toFixed(1)} mm`;
  at("own").hidden = picked === null;
  if (picked !== null) {
    const select = make("select", [], { ariaLabel: "Number", id: "number", onchange: (event) => { renumber(Number(event.target.value)); event.target.blur(); } });
    const rows = rowsOf(scan).flat();
    select.append(...IN_ROW.filter((fdi) => rows.includes(fdi) || fdi === picked).map((fdi) => make("option", numberOf(fdi), { value: fdi, selected: fdi === picked, title: nameOf(fdi) })));
    at("own").replaceChildren(
      make("span", "Number"), select, button("−1", () => shift(-1), "[: shift this tooth and those behind it by one, to the front"),
      button("+1", () => shift(1), "]: shift this tooth and those behind it by one, to the back"), button("Gingiva", noTooth, "G: this is not a tooth"),
      tool("Swap", "swap", "W: swap numbers with another tooth"), tool("Merge", "merge", "J: merge with another tooth"), button("Done", finishTooth, "X: hide this tooth, go to the next unsure tooth"));
  }
  at("said").textContent = review.said;
  at("said").classList.toggle("wrong", review.problem);
  at("offers").replaceChildren(...review.offers.map(([text, act]) => button(text, () => { tell(""); act(); })));
}
if (editable) also.panel = updateEdit;
at("radius").addEventListener("input", (event) => { review.size = Number(event.target.value); updateEdit(); });
at("edit").open = served;
at("links").hidden = !served;
at("onward").hidden = !review.onward;
if (!editable) at("edit").remove();
