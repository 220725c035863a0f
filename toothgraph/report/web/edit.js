// ---- Tools that change labels, and changes of the picked tooth
// The scan of the picked tooth. Both jaws may have the number, if one of them is wrong: then it is the scan that was clicked.
const current = () => [state.pickedIn, ...data.scans].find((scan) => scan && state.picked !== null && hasTooth(scan, state.picked))
  || data.scans.find(seenOf) || data.scans[0];
const hasTooth = (scan, fdi) => resultOf(scan).teeth.some((tooth) => tooth.fdi === fdi);
const rowOf = (fdi) => LOWER_ROW.includes(successorOf(fdi)) ? LOWER_ROW : UPPER_ROW;
// The rows of teeth that a scan may have: the row of its jaw, and the rows of its teeth, since a file may hold both jaws.
function rowsOf(scan) {
  const named = { upper: [UPPER_ROW], lower: [LOWER_ROW] }[scan.jaw] || [];
  const rows = [...new Set([...named, ...resultOf(scan).teeth.filter((tooth) => tooth.fdi > 0).map((tooth) => rowOf(tooth.fdi))])];
  return rows.length ? rows : [UPPER_ROW, LOWER_ROW];
}

function tell(text, problem = false, offers = []) {
  [review.said, review.problem, review.offers] = [text, problem, offers];
  updateEdit();
}

// ---- Tools. The chosen one is in `also.tool`.
function chooseTool(name) {
  const now = also.tool?.name === name ? null : TOOLS[name];
  endStroke();
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
// After a step, the tooth that was picked is picked under its new number, unless a person has picked another one since.
const follow = (tooth, to, scan) => (good) => good && [null, tooth].includes(state.picked) && pick(to, scan);
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
// A free number for a second tooth beside `fdi`: the nearest one in its row, rather behind it than before it.
function nextTo(scan, fdi) {
  const row = rowOf(fdi), at = row.indexOf(successorOf(fdi)), behind = at < 8 ? -1 : 1;
  const far = (number) => Math.abs(row.indexOf(number) - at - behind / 4);
  return [...row].sort((a, b) => far(a) - far(b)).find((number) => !hasTooth(scan, number));
}
// The number behind this one in the row, from the patient's right to the left; a milk tooth where this is one, and there is one.
function following(fdi) {
  const row = rowOf(fdi), next = row[row.indexOf(successorOf(fdi)) + 1];
  return next && isPrimary(fdi) && isPrimary(next + TO_PRIMARY) ? next + TO_PRIMARY : next;
}
// The number that the next click gives, with the tool that labels by clicks.
const nextClick = (scan) => review.next ?? (review.points.length ? following(review.points.at(-1).number) : rowsOf(scan)[0][1]);

const pairTool = (kind, text) => ({
  needs: true, help: () => `${text(numberOf(state.picked))} Esc cancels.`,
  click: settled((found) => {
    const [scan, tooth] = [found?.scan, state.picked], to = found && toothUnder({ label: resultOf(scan).labels[found.face] });
    if (!to || to === tooth || scan !== current()) { tell("Click another tooth of the same jaw.", true); return; }
    done();
    take(scan, { kind, tooth, to }).then(follow(tooth, to, scan));
  }),
});
const TOOLS = {
  swap: pairTool("swap", (fdi) => `Click the tooth to swap numbers with ${fdi}.`),
  merge: pairTool("merge", (fdi) => `Click the tooth that ${fdi} is part of.`),
  split: {
    help: () => "Click one half of the tooth, then the other half.",
    click: (found) => {
      const [half] = review.points;
      if (!toothUnder(found) || half && (found.scan !== half.scan || found.label !== half.label || found.face === half.face)) {
        tell(half ? "Click the other half of the same tooth." : "Click on a tooth.", true);
        return;
      }
      review.points.push(found);
      if (review.points.length < 2) { tell("Now click the other half. It gets a new number."); redraw(); return; }
      const [one, other] = review.points, to = nextTo(one.scan, one.label);
      done();
      if (!to) { tell("All numbers of this jaw are already used.", true); return; }
      take(one.scan, { kind: "split", to, faces: [one.face, other.face] }).then((good) => good && renumberable(to, one.scan));
    },
  },
  add: {
    help: () => "Click the middle of a tooth that has no number yet.",
    click: (found) => {
      if (!found) return;
      const to = guess(found.scan, found.point);
      done();
      take(found.scan, { kind: "new", to, faces: [found.face] }).then((good) => good && renumberable(to, found.scan));
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
      const { scan } = points[0], to = state.picked !== null && hasTooth(scan, state.picked) ? state.picked : guess(scan, points[0].point);
      done();
      take(scan, { kind: "border", to, faces: points.map((point) => point.face) }).then((good) => good && renumberable(to, scan));
    },
  },
  brush: {
    help: () => `Drag over the surface to paint ${state.picked === null ? "gingiva. To paint a tooth, pick it first" : `${numberOf(state.picked)}. Hold Alt to paint gingiva`}. Drag beside the scan to turn it.`,
    begin: (event) => {
      const found = under(event.offsetX, event.offsetY);
      if (!found || event.button === 2 || event.shiftKey) return false;
      beginStroke(found, event.altKey);
      review.stroke.place = [event.offsetX, event.offsetY];
      return true;
    },
    hover: (event) => {
      const size = 2 * review.size * state.scale, ring = at("ring").style;
      [ring.width, ring.height] = [`${size}px`, `${size}px`];
      [ring.left, ring.top] = [`${event.offsetX - size / 2}px`, `${event.offsetY - size / 2}px`];
    },
    stroke: (event) => brushTo(event.offsetX, event.offsetY),
    press: (found) => { beginStroke(found, false); endStroke(); },
  },
  clicks: {
    help: () => "This replaces all labels. Click the middle of each tooth, one after another along the arch. Type a number to change that of the next tooth. Backspace removes the last click, Enter finishes.",
    click: (found) => {
      if (!found || (review.points.length && found.scan !== review.points[0].scan)) return;
      const number = nextClick(found.scan);
      if (!number || review.points.some((point) => point.number === number)) { tell("Type the number of this tooth first.", true); return; }
      review.points.push({ ...found, number });
      review.next = undefined;
      tell(`${numberOf(number)} is set. Next: ${numberOf(following(number) ?? "type a number")}. Enter finishes.`);
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
function renumberable(fdi, scan) {
  pick(fdi, scan);
  tell(`It is ${numberOf(fdi)} now. Type another number if that is wrong.`);
}

// ---- Changes of the picked tooth. They wait for steps that may change its number.
const renumber = settled((to) => {
  const scan = current(), tooth = state.picked;
  if (tooth === null || to === tooth) return;
  if (hasTooth(scan, to)) {
    tell(`${numberOf(to)} is already used.`, true, [
      ["Swap the two numbers", () => take(scan, { kind: "swap", tooth, to }).then(follow(tooth, to, scan))],
      ["Merge into one tooth", () => take(scan, { kind: "merge", tooth, to }).then(follow(tooth, to, scan))]]);
    return;
  }
  take(scan, { kind: "renumber", tooth, to }).then(follow(tooth, to, scan));
});
const shift = settled((step) => {
  const scan = current(), tooth = state.picked;
  if (tooth === null) return;
  if (!isTooth(tooth + step)) tell(`${numberOf(tooth)} is the ${step > 0 ? "last" : "first"} number of its quadrant.`, true);
  else take(scan, { kind: "shift", tooth, to: tooth + step }).then(follow(tooth, tooth + step, scan));
});
const noTooth = settled(() => { if (state.picked !== null) take(current(), { kind: "gingiva", tooth: state.picked }); });
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
    pick(most > 0 && most !== UNKNOWN ? most : null, scan);
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
const finishTooth = settled(() => {
  if (state.picked === null) return;
  review.finished.add(state.picked);
  state.shown[state.picked] = 0;
  nextDoubt();
});
// A tooth that is done, or hidden, stays so with its new number. `numbers`: from the former number to the new one.
function carry(numbers) {
  const before = [...numbers].map(([fdi, to]) => [to, review.finished.has(fdi), state.shown[fdi]]);
  for (const fdi of numbers.keys()) { review.finished.delete(fdi); state.shown[fdi] = 1; }
  for (const [to, finished, shown] of before) {
    if (!to || to === UNKNOWN) continue;
    state.shown[to] = shown;
    if (finished) review.finished.add(to);
  }
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
  if (!typedNow().more) finishTyping();
  else { tell(`${review.typedSoFar} …`); typing = setTimeout(finishTyping, 1200); }
}
function typedNow() {
  const number = also.tool?.name === "clicks" ? nextClick(review.points[0]?.scan ?? current()) : state.picked;
  return typed(review.typedSoFar, number ?? 0);
}
// A number that was typed is of the tooth that was picked then, so it is taken before another one is picked.
function finishTyping() {
  if (!review.typedSoFar) return;
  const { fdi } = typedNow();
  forgetTyping();
  if (fdi) accept(fdi); else tell("No tooth has this number.", true);
}
function forgetTyping() {
  clearTimeout(typing);
  review.typedSoFar = "";
}
also.leave = finishTyping;
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
  const alone = unsaved() ? "Labels changed. Download them to keep the changes."
    : own.some((one) => one.version) ? "All changes are in the file that was downloaded." : "Changes are kept only if you download the labels.";
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
    select.append(...IN_ROW.filter((fdi) => rows.includes(successorOf(fdi))).map((fdi) => make("option", numberOf(fdi), { value: fdi, selected: fdi === picked, title: nameOf(fdi) })));
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
