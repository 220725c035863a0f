// ---- Steps that change labels. On the page of a review, each step goes to the server, which saves it before it answers. A page
// in a file does the steps itself, as far as it can, and its labels can be downloaded.
const review = {
  ...(data.review || { home: null, onward: "", scans: data.scans.map(() => ({ version: 0, state: "unseen", undo: 0, redo: 0 })) }),
  waiting: [], refused: 0, said: "", problem: false, offers: [], size: 1.5, finished: new Set(), points: [],
  stroke: null, typedSoFar: "",
};
window.review = review;
data.scans.forEach((scan, k) => { scan.review = { ...review.scans[k], done: [], undone: [], downloaded: 0 }; });
const served = review.home !== null;
const editable = served || (!data.comparisons.length && data.results.length === 1);

// ---- Steps are done one after another, by the server if there is one
let last = Promise.resolve();
function take(of, step) { // `of`: a scan, or a function that returns one when the step's turn comes
  const { refused } = review;
  review.waiting.push(step);
  updateEdit();
  last = last.then(() => refused === review.refused ? tried(typeof of === "function" ? of() : of, step) : dropped(of, step))
    .finally(() => { review.waiting.shift(); updateEdit(); });
  return last;
}
// If a step fails, the steps behind it are dropped: they were meant for its result.
async function tried(scan, step) {
  const before = scan.review, good = await sent(scan, step);
  if (good) {
    if (trail[step.kind]) trail[step.kind].pop();
    for (const [kind, jaws] of Object.entries(trail)) if (scan.review[kind] > before[kind]) jaws.push(scan);
    return true;
  }
  review.refused += 1;
  if (review.waiting.length > 1) tell(`${review.said}. Your later steps were not done either.`, true);
  return false;
}
// Call `act` now, or, if some waiting steps must come first (`steps` is true for them), after they are saved. If they fail, do not.
const after = (steps, act) => review.waiting.some(steps) ? last.then((good) => good && after(steps, act)) : act();
// Return a function that does `act` when the steps are saved that may change numbers.
const renumbers = (step) => step.kind !== "paint" && step.kind !== "approve";
const settled = (act) => (...given) => after(renumbers, () => act(...given));
async function dropped(scan, step) {
  if (step.kind === "paint") restored(scan);
  return false;
}
// Take strokes off that are on the page and are not saved: from some faces, or from all.
function restored(scan, faces = scan.saved.keys()) {
  const { labels } = resultOf(scan), off = [...faces].filter((face) => labels[face] !== scan.saved[face]);
  off.forEach((face) => { labels[face] = scan.saved[face]; });
  relabelled(scan, off);
  redraw();
}
// The jaws of the steps on this page, latest last: those that can be undone, and those that can be redone.
const trail = { undo: [], redo: [] };
// The jaw of the next step to undo or redo. If no step of this page is left, it is a jaw with steps from before the page was
// loaded, that of the picked tooth first.
function jawOf(kind) {
  const jaws = trail[kind];
  while (jaws.length && !jaws.at(-1).review[kind]) jaws.pop(); // another window has undone it
  return jaws.at(-1) || [current(), ...data.scans].find((scan) => scan.review[kind]) || current();
}
async function ask(place, content) {
  const options = content && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
  const answer = await fetch(review.home + place, options);
  return [answer.status, await answer.json()];
}
async function sent(scan, step) {
  if (!served) return alone(scan, step);
  try {
    const [status, said] = await ask(`step/${encodeURIComponent(scan.name)}`, { version: scan.review.version, step });
    if (status === 200) {
      changed(scan, said.changed, bytes(said.to));
      arrived(scan, said);
      tell(said.changed.length || step.kind === "approve" ? "" : "Nothing has changed.");
      return true;
    }
    if (said.labels !== undefined) replaced(scan, said);
    else if (step.kind === "paint") restored(scan);
    tell(saidWith([said.error].flat()), true);
  } catch (error) {
    if (step.kind === "paint") restored(scan);
    tell(`Not saved: the server does not answer. Start \`toothgraph review\` again; all saved steps are kept. (${error.message})`, true);
  }
  return false;
}
for (const scan of data.scans) for (const result of scan.results) {
  result.found = { labels: result.labels.slice(), confidence: result.confidence && result.confidence.slice() };
}
for (const scan of data.scans) scan.saved = resultOf(scan).labels.slice(); // the labels after the last step, without strokes since
function changed(scan, faces, labels) {
  const { labels: own, confidence, found } = resultOf(scan);
  carry(moved(scan.saved, faces, labels));
  faces.forEach((face, k) => {
    own[face] = scan.saved[face] = labels[k];
    if (confidence) confidence[face] = labels[k] === found.labels[face] ? found.confidence[face] : 0; // not known
  });
  relabelled(scan, faces);
}
// The numbers of which all faces get another one: a map to the number that most of them get.
function moved(before, faces, labels) {
  const whole = new Map(), to = new Map(), more = (counts, key) => counts.set(key, (counts.get(key) || 0) + 1);
  faces.forEach((face, k) => {
    const fdi = before[face];
    if (!to.has(fdi)) to.set(fdi, new Map());
    more(to.get(fdi), labels[k]);
  });
  for (const fdi of before) if (to.has(fdi)) more(whole, fdi);
  const numbers = new Map();
  for (const [fdi, counts] of to) {
    const [[most]] = [...counts].sort((a, b) => b[1] - a[1]), sum = [...counts.values()].reduce((a, b) => a + b, 0);
    if (fdi > 0 && fdi !== UNKNOWN && sum === whole.get(fdi)) numbers.set(fdi, most);
  }
  return numbers;
}
function arrived(scan, said) {
  const { version, state: stands, undo, redo, teeth, doubts } = said;
  scan.review = { ...scan.review, version, state: stands, undo, redo };
  resultOf(scan).teeth = teeth;
  scan.doubts = doubts ?? scan.doubts;
  scan.about = `${scan.jaw === "unknown" ? "" : `${scan.jaw} jaw, `}${teeth.filter((tooth) => tooth.fdi > 0).length} teeth`;
  at("about").textContent = data.scans.map((one) => one.about).join("; ");
  if (state.picked !== null && !data.scans.some((one) => hasTooth(one, state.picked))) state.picked = null;
  updateMeasures();
  updatePanel();
  redraw();
}
function replaced(scan, said) { // load all labels, after another window has changed some
  const labels = bytes(said.labels), faces = [];
  restored(scan);
  labels.forEach((label, face) => { if (scan.saved[face] !== label) faces.push(face); });
  changed(scan, faces, faces.map((face) => labels[face]));
  arrived(scan, said);
}
async function look() { // load what other windows have changed
  for (const scan of data.scans) {
    const { version } = scan.review, [status, said] = await ask(`labels/${encodeURIComponent(scan.name)}`);
    if (status === 200 && !review.waiting.length && scan.review.version === version && said.version > version) replaced(scan, said);
  }
}
window.addEventListener("focus", () => { if (served && !review.waiting.length) look().catch(() => {}); }); // a waiting step loads it itself
// Whether labels are lost when the page is closed: steps that are not saved yet, or, without a server, not downloaded.
const unsaved = () => served ? review.waiting.length > 0 : data.scans.some((scan) => scan.review.version !== scan.review.downloaded);
window.addEventListener("beforeunload", (event) => { if (unsaved()) event.preventDefault(); });

// ---- Without a server
function alone(scan, step) {
  const { done, undone } = scan.review, before = ({ faces }) => ({ faces, labels: faces.map((face) => scan.saved[face]) });
  if (step.kind === "undo" || step.kind === "redo") {
    const [from, to] = step.kind === "undo" ? [done, undone] : [undone, done];
    if (!from.length) { tell(`Nothing to ${step.kind}.`, true); return false; }
    const change = from.pop();
    to.push(before(change));
    changed(scan, change.faces, change.labels);
  } else {
    const found = step.kind === "paint" ? { faces: step.faces, labels: step.faces.map(() => step.to) } : mapped(scan, step);
    if (typeof found === "string") { tell(found, true); return false; }
    done.push(before(found));
    changed(scan, found.faces, found.labels);
    undone.length = 0;
  }
  arrived(scan, { version: scan.review.version + 1, state: "corrected", undo: done.length, redo: undone.length, teeth: teethOf(scan) });
  tell("");
  return true;
}
// Return the faces that get other labels, and these labels; or a text that says why the step is not possible.
function mapped(scan, { kind, tooth, to }) {
  const numbers = new Map([[tooth, kind === "gingiva" ? 0 : to]]);
  if (kind === "swap") numbers.set(to, tooth);
  if (kind === "shift") {
    const run = [tooth];
    while (isTooth(run.at(-1) + 1) && hasTooth(scan, run.at(-1) + 1)) run.push(run.at(-1) + 1);
    const taken = to > tooth ? run.at(-1) + 1 : to;
    if (!isTooth(taken) || (to < tooth && hasTooth(scan, taken))) return `There is no room to shift ${run.map(numberOf).join(" ")}.`;
    for (const fdi of run) numbers.set(fdi, fdi + to - tooth);
  }
  const faces = [], labels = [];
  resultOf(scan).labels.forEach((label, face) => {
    if (numbers.has(label)) { faces.push(face); labels.push(numbers.get(label)); }
  });
  return { faces, labels };
}
// The table of the teeth. A page cannot measure widths: a tooth has one only if its number of faces is as before.
function teethOf(scan) {
  const { labels, confidence } = resultOf(scan), rows = new Map();
  for (let f = 0; f < labels.length; f++) {
    if (labels[f] === UNKNOWN) continue;
    const row = rows.get(labels[f]) || { fdi: labels[f], faces: 0, area: 0, width: null, confidence: confidence ? 0 : null };
    const area = length(...normalOf(scan, f)) / 2;
    row.faces += 1;
    row.area += area;
    if (confidence) row.confidence += confidence[f] ? area * confidence[f] / 255 : NaN; // 0: not known
    rows.set(labels[f], row);
  }
  const known = new Map(resultOf(scan).teeth.map((tooth) => [tooth.fdi, tooth]));
  for (const row of rows.values()) {
    if (confidence) row.confidence = Number.isNaN(row.confidence) ? null : row.confidence / Math.max(row.area, 1e-12);
    const before = known.get(row.fdi);
    if (before && before.faces === row.faces) row.width = before.width;
  }
  return [0, ...IN_ROW].filter((fdi) => rows.has(fdi)).map((fdi) => rows.get(fdi));
}
// Download a text file with one FDI number for each face of the file, to put beside the scan. If the file has both jaws, there is
// one text file for both.
function download() {
  const of = (scan) => resultOf(scan).labels;
  if (data.file) save(data.file, data.scans.flatMap((scan) => [...of(scan)]));
  else data.scans.forEach((scan) => save(scan, of(scan)));
  data.scans.forEach((scan) => { scan.review.downloaded = scan.review.version; });
}
function save({ name, stored }, labels) {
  const number = (label = 0) => label === UNKNOWN ? -1 : label; // a face of neither jaw is gingiva
  const lines = stored ? Array.from(stored, (face) => number(labels[face])) : Array.from(labels, (label) => number(label));
  review.file = `${lines.join("\n")}\n`; // the text of the last download, for tests
  const link = make("a", [], { href: URL.createObjectURL(new Blob([review.file], { type: "text/plain" })), download: `${name}.txt` });
  link.click();
  URL.revokeObjectURL(link.href);
}
