// ---- what Python wrote: scans (one jaw each) with their results, and what is shown of them
const data = JSON.parse(document.getElementById("data").textContent);
const UNKNOWN = 255, NO_TOOTH = 99; // the byte of an unknown label, and its place among what is shown
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
for (const scan of data.scans) {
  scan.faces = new Uint32Array(bytes(scan.faces).buffer);
  scan.stored = scan.stored && new Uint32Array(bytes(scan.stored).buffer); // by face of the file
  scan.points = new Float32Array(bytes(scan.points).buffer); // x to the patient's left, y up, z to the front; mm
  for (const result of scan.results) {
    result.labels = bytes(result.labels);
    result.confidence = result.confidence && bytes(result.confidence);
  }
}
if (data.file) data.file.stored = new Uint32Array(bytes(data.file.stored).buffer); // of the faces of all scans together
const state = {
  shown: new Float32Array(100).fill(1), // by FDI number
  jaws: data.scans.map(() => true),
  mode: data.comparisons.some((made) => made.kind === "changes") ? "changes" : "teeth", // or "confidence", "errors"
  result: 0, // which labels are shown
  picked: null, // FDI number
  numbers: true, numbering: "FDI",
  view: "Bite", apart: false, chart: true, turn: null, centre: [0, 0, 0], scale: 1, pan: [0, 0],
  beside: true, // two panes stand beside each other, else one above the other
  fitted: true, // nobody has moved the view since it was fitted
  measuring: false, ends: [], measured: null,
  cross: null, // what keys point at: { scan, face, point }
  frames: 0,
};
window.toothgraph = state;
// What a page that changes labels adds: a tool that takes what is clicked, painted, drawn or pressed by keys, and what else is to be
// updated and written over the picture.
const also = { tool: null, panel: () => {}, marks: () => {} };
const place = (label) => label === UNKNOWN ? NO_TOOTH : label;
const seenOf = (scan) => state.jaws[data.scans.indexOf(scan)];
const comparison = () => data.comparisons.find((made) => made.kind === state.mode);
// A scan without a second result shows its first.
const resultShown = () => comparison() ? comparison().first : state.result;
const resultOf = (scan, index = resultShown()) => scan.results[index] || scan.results[0];
const nameOf = (fdi) => data.names[fdi] || (fdi === 0 ? "gum" : "no label");
