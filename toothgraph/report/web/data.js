// ---- The data that Python wrote: scans of one jaw each, with their results. And the state of the page: what it shows.
const data = JSON.parse(document.getElementById("data").textContent);
const UNKNOWN = 255, NO_TOOTH = 99; // the byte of an unknown label, and its index in `state.shown`
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
for (const scan of data.scans) {
  scan.faces = new Uint32Array(bytes(scan.faces).buffer);
  scan.stored = scan.stored && new Uint32Array(bytes(scan.stored).buffer); // for each face of the file, the face that gives its label
  scan.points = new Float32Array(bytes(scan.points).buffer); // mm; x to the patient's left, y up, z to the front
  for (const result of scan.results) {
    result.labels = bytes(result.labels);
    result.confidence = result.confidence && bytes(result.confidence);
  }
}
if (data.file) data.file.stored = new Uint32Array(bytes(data.file.stored).buffer); // as above, with faces counted through all scans
const state = {
  shown: new Float32Array(100).fill(1), // 1 or 0 for each FDI number
  jaws: data.scans.map(() => true),
  mode: data.comparisons.some((made) => made.kind === "changes") ? "changes" : "teeth", // or "confidence" or "errors"
  result: 0, // index of the labels that are shown
  picked: null, // FDI number of the picked tooth
  pickedIn: null, // its scan, where this is known
  numbers: true, numbering: "FDI",
  view: "Bite", apart: false, chart: true, turn: null, centre: [0, 0, 0], scale: 1, pan: [0, 0],
  beside: true, // two panes stand side by side; false: one above the other
  fitted: true, // the view was not moved since it was fitted
  measuring: false, ends: [], measured: null,
  cross: null, // the place that keys point at: { scan, face, point }
  frames: 0,
};
window.toothgraph = state;
// What edit.js adds. `tool` is the chosen tool: it receives clicks, strokes of the brush and keys. `panel` updates the part of
// the panel that changes labels. `marks` draws over the picture. `leave` is called before another tooth is picked.
const also = { tool: null, panel: () => {}, marks: () => {}, leave: () => {} };
const place = (label) => label === UNKNOWN ? NO_TOOTH : label;
const seenOf = (scan) => state.jaws[data.scans.indexOf(scan)];
const comparison = () => data.comparisons.find((made) => made.kind === state.mode);
// A scan that does not have this result shows its first one.
const resultShown = () => comparison() ? comparison().first : state.result;
const resultOf = (scan, index = resultShown()) => scan.results[index] || scan.results[0];
const nameOf = (fdi) => data.names[fdi] || (fdi === 0 ? "gingiva" : "no label");
