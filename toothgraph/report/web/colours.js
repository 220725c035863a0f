// ---- Colours of faces in each mode. They can be read without telling red from green.
const UNSURE = [[0.5, [110, 16, 62]], [0.7, [203, 71, 40]], [0.85, [246, 165, 64]], [1, [222, 233, 243]]];
const WRONG = [178, 20, 40], SAME = [225, 228, 231], OPEN_QUESTION = [140, 140, 140];
const css = (rgb) => `rgb(${rgb.map(Math.round)})`;
const mix = (a, b, share) => a.map((value, k) => value + share * (b[k] - value));
const ofTooth = (label) => data.colours[label] || data.colours[UNKNOWN];
function ofConfidence(sure) {
  for (let k = 1; k < UNSURE.length; k++) {
    const [[low, from], [high, to]] = [UNSURE[k - 1], UNSURE[k]];
    if (sure <= high) return mix(from, to, Math.max(0, (sure - low) / (high - low)));
  }
  return UNSURE[UNSURE.length - 1][1];
}
const RAMP = Array.from({ length: 256 }, (_, value) => value ? ofConfidence(value / 255) : OPEN_QUESTION); // by byte of the confidence; 0 is not known

// The panes of the picture: one, or two in a comparison. The first one is marked where its labels differ from the second.
function panes() {
  const compared = comparison(), [width, height] = [state.width, state.height];
  if (!compared) return [{ left: 0, top: 0, width, height, result: state.result }];
  const wide = state.beside, half = wide ? { width: width / 2, height } : { width, height: height / 2 };
  return [compared.first, compared.second].map((result, k) => (
    { ...half, left: wide ? k * width / 2 : 0, top: wide ? 0 : k * height / 2, result, marked: k === 0 }));
}

function faceColour(scan, pane) {
  const { labels, confidence } = resultOf(scan, pane.result), compared = comparison();
  if (state.mode === "confidence") return (f) => confidence ? RAMP[confidence[f]] : OPEN_QUESTION;
  if (!compared || scan.results.length < 2) return (f) => ofTooth(labels[f]);
  const [first, second] = [resultOf(scan, compared.first).labels, resultOf(scan, compared.second).labels];
  return (f) => {
    if (second[f] === UNKNOWN) return OPEN_QUESTION;
    if (first[f] === second[f]) return mix(ofTooth(labels[f]), SAME, 0.72);
    return pane.marked ? WRONG : ofTooth(labels[f]);
  };
}
function cornerColours(scan, pane) {
  const colour = new Uint8Array(12 * scan.faces.length / 3), of = faceColour(scan, pane);
  for (let f = 0, at = 0; f < scan.faces.length / 3; f++) {
    const [red, green, blue] = of(f);
    for (let k = 0; k < 3; k++, at += 4) {
      colour[at] = red; colour[at + 1] = green; colour[at + 2] = blue; colour[at + 3] = 255;
    }
  }
  return colour;
}
