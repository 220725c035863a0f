// ---- The panel beside the picture. All text is added as text, never as HTML.
const at = (id) => document.getElementById(id);
function make(kind, content = [], values = {}) {
  const made = document.createElement(kind);
  Object.assign(made, values);
  made.append(...[content].flat().map((part) => part instanceof Node ? part : String(part)));
  return made;
}
const button = (text, act, title = "") => make("button", text, { type: "button", title, onclick: () => { act(); updatePanel(); redraw(); } });
const swatch = (fdi) => {
  const made = make("span", [], { className: "swatch" });
  made.style.background = css(ofTooth(fdi));
  return made;
};
const digits = (value, places, unit = "") => value === null || value === undefined ? "" : value.toFixed(places) + unit;
// The confidence of a tooth, as text. It is not known for a tooth that a person has corrected.
const sureText = (tooth, teeth) =>
  tooth.confidence === null && tooth.fdi && teeth.some((one) => one.confidence !== null) ? "corrected" : percent(tooth.confidence);
const percent = (value) => value === null ? "" : `${Math.round(100 * value)} %`;
const labelOf = (fdi) => fdi ? numberOf(fdi) : "gingiva";
const upperFirst = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function choose(group, choices, chosen, act) { // fill a group with buttons; that of the chosen value is pressed
  at(group).replaceChildren(...choices.map(([text, value, title]) => {
    const made = button(text, () => act(value), title);
    made.setAttribute("aria-pressed", value === chosen);
    return made;
  }));
}

const hasConfidence = (result) => data.scans.some((scan) => scan.results[result]?.confidence);
function setMode(mode) {
  state.mode = mode;
  if (mode === "confidence" && !hasConfidence(state.result)) state.result = data.results.findIndex((_, k) => hasConfidence(k));
  recolour();
  fit();
}
function setJaws(seen) {
  state.jaws = seen;
  fit();
}
const modes = () => [
  ["Teeth", "teeth"],
  ...(data.scans.some((scan) => scan.results.some((result) => result.confidence)) ? [["Confidence", "confidence"]] : []),
  ...data.comparisons.map((made) => [upperFirst(made.kind), made.kind]),
];

function updateChoices() {
  choose("views", Object.keys(LOOKS).map((name) => [name, name]), state.view, setView);
  if (data.scans.length > 1) {
    const seen = state.jaws.join();
    choose("jaws", [
      ["Both", "true,true"],
      ...data.scans.map((scan, k) => [upperFirst(scan.jaw), data.scans.map((_, other) => other === k).join()]),
    ], seen, (value) => setJaws(value.split(",").map((one) => one === "true")));
    const apart = button("Apart", () => { state.apart = !state.apart; if (state.chart) setView("Front"); else fit(); },
                         "Move the jaws apart or together");
    apart.setAttribute("aria-pressed", state.apart);
    at("jaws").append(apart);
  }
  if (modes().length > 1) choose("modes", modes(), state.mode, setMode);
  if (data.results.length > 1 && !comparison()) {
    const offered = data.results.map((name, k) => [name, k]).filter(([, k]) => state.mode !== "confidence" || hasConfidence(k));
    choose("results", offered, state.result, (k) => { state.result = k; recolour(); });
  } else at("results").replaceChildren();
  const pressed = (made, value) => { made.setAttribute("aria-pressed", value); return made; };
  at("tools").replaceChildren(
    pressed(button("Numbers", () => { state.numbers = !state.numbers; }, "N: show or hide the numbers on the teeth"), state.numbers),
    pressed(button("Ruler", toggleRuler, "M: measure between two points on the surface"), state.measuring),
    button("Show all", showAll), button("Hide gingiva", () => toggle(0)));
  Object.assign(at("tools").lastChild, { id: "gingiva", textContent: state.shown[0] ? "Hide gingiva" : "Show gingiva" });
  chooseNumbering(at("numbering"), () => { updateMeasures(); updatePanel(); redraw(); });
}

function updateLegend() {
  const compared = comparison(), parts = [];
  const key = (rgb, text) => {
    const box = make("span", [], { className: "swatch" });
    box.style.background = css(rgb);
    return make("div", [box, make("span", text)], { className: "key" });
  };
  if (state.mode === "confidence") {
    const bar = make("div", [], { className: "scale", title: "How sure the model is of the number of each face" });
    const stops = UNSURE.map(([sure, rgb]) => `${css(rgb)} ${200 * (sure - 0.5)}%`);
    bar.style.background = `linear-gradient(to right, ${stops})`;
    parts.push(bar, make("div", ["50 % or less", "75 %", "100 % sure"].map((text) => make("span", text)), { className: "ticks" }));
    if (data.scans.some((scan) => resultOf(scan).confidence?.includes(0))) {
      parts.push(key(OPEN_QUESTION, "corrected, or confidence not known"));
    }
  }
  if (compared) {
    const [first, second] = [data.results[compared.first], data.results[compared.second]];
    parts.push(key(WRONG, `${first} differs from ${second}`), key(SAME, "pale: same in both"));
    if (compared.unknown) parts.push(key(OPEN_QUESTION, `no label in ${second}`));
  }
  at("legend").replaceChildren(...parts);
}

// The label that most of a tooth's area has in `others`, and the share of this area.
function otherwise(scan, labels, others, fdi) {
  const area = new Map();
  let whole = 0;
  for (let f = 0; f < labels.length; f++) {
    if (labels[f] !== fdi) continue;
    const [p, q, r] = [0, 1, 2].map((k) => scan.points.subarray(3 * scan.faces[3 * f + k], 3 * scan.faces[3 * f + k] + 3));
    const [u, v] = [[q[0] - p[0], q[1] - p[1], q[2] - p[2]], [r[0] - p[0], r[1] - p[1], r[2] - p[2]]];
    const own = Math.hypot(u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]);
    area.set(others[f], (area.get(others[f]) || 0) + own);
    whole += own;
  }
  const [most] = [...area].sort((a, b) => b[1] - a[1]);
  return most && { fdi: most[0], share: most[1] / whole };
}

function updateCard() {
  const card = at("card"), fdi = state.picked;
  card.hidden = fdi === null || !data.scans.some((one) => one.results.some((result) => result.teeth.some((tooth) => tooth.fdi === fdi)));
  if (card.hidden) return;
  const scan = data.scans.find((one) => one.results.some((result) => result.teeth.some((tooth) => tooth.fdi === fdi)));
  const toothIn = (one) => one.teeth.find((row) => row.fdi === fdi);
  const shown = resultOf(scan), result = toothIn(shown) ? shown : scan.results.find(toothIn), tooth = toothIn(result), rows = [];
  const say = (term, text) => text && rows.push(make("dt", term), make("dd", text));
  if (result !== shown) say("Only in", data.results[scan.results.indexOf(result)]);
  say("Width, mesiodistal", digits(tooth.width, 1, " mm"));
  say("Area", digits(tooth.area, 0, " mm²"));
  say("Confidence", sureText(tooth, result.teeth));
  const changed = scan.other && scan.other.changes.find(([given]) => given === fdi);
  if (changed && result === scan.results[0]) {
    const other = changed[1] ? numberOf(changed[1]) : "no tooth";
    say("May also be", `${other}, but the given numbers are ${scan.other.odds.toPrecision(2)} times as likely`);
  }
  for (const [k, other] of scan.results.entries()) {
    if (other === result) continue;
    const most = otherwise(scan, result.labels, other.labels, fdi);
    if (most) say(`In ${data.results[k]}`, `${most.fdi === UNKNOWN ? "no label" : labelOf(most.fdi)} (${percent(most.share)})`);
  }
  card.replaceChildren(
    make("h2", [swatch(fdi), `${numberOf(fdi)} ${nameOf(fdi)}`]), make("dl", rows),
    make("div", [button("Only this one", onlyThis), button("Hide", hideThis)], { className: "row" }));
}

function head(names) {
  const cells = names.map((name) => make("th", name, { scope: "col", className: name === "shown" ? "shown" : "" }));
  cells.splice(1, 0, make("th", [], { className: "word" }));
  return make("thead", make("tr", cells));
}
function toothRow(fdi, cells, scan) {
  const pickIt = button([swatch(fdi), ` ${labelOf(fdi)}`], () => { if (fdi) pick(fdi, scan); }, nameOf(fdi));
  const word = make("td", fdi ? nameOf(fdi) : "", { className: "word" });
  const row = make("tr", [make("td", pickIt), word, ...cells.map((cell) => make("td", cell))], { className: "tooth", title: nameOf(fdi) });
  row.dataset.fdi = fdi;
  row.addEventListener("click", (event) => {
    if (fdi && !event.target.closest("button, input")) pick(fdi, scan);
  });
  row.classList.toggle("picked", fdi === state.picked);
  row.classList.toggle("off", !state.shown[fdi]);
  return row;
}
function shownBox(fdi) {
  return make("input", [], { type: "checkbox", checked: state.shown[fdi] > 0, ariaLabel: `Show ${labelOf(fdi)}`, onchange: () => toggle(fdi) });
}

function updateTeeth() {
  const tables = data.scans.filter(seenOf).map((scan) => {
    const { teeth } = resultOf(scan), sure = teeth.some((tooth) => tooth.confidence !== null);
    const rows = teeth.map((tooth) => toothRow(tooth.fdi, [
      digits(tooth.width, 1), digits(tooth.area, 0), ...(sure ? [make("span", sureText(tooth, teeth), { className: tooth.confidence === null ? "corrected" : "" })] : []), shownBox(tooth.fdi)], scan));
    const table = make("table", [head([state.numbering, "width, mm", "area, mm²", ...(sure ? ["confidence"] : []), "shown"]), make("tbody", rows)]);
    if (data.scans.length > 1) table.prepend(make("caption", `${upperFirst(scan.jaw)} jaw: ${scan.name}`));
    return table;
  });
  at("teeth").replaceChildren(...tables);
}

// The teeth that differ, largest difference first.
function updateDifferences() {
  const compared = comparison(), box = at("differences");
  box.hidden = !compared;
  at("teeth").hidden = Boolean(compared);
  if (!compared) return;
  const rows = data.scans.filter(seenOf).flatMap((scan) => scan.differences[compared.kind] || []);
  rows.sort((a, b) => b.differs - a.differs);
  const [from, to] = compared.kind === "errors" ? [compared.second, compared.first] : [compared.first, compared.second];
  const list = rows.map((row) => {
    const made = toothRow(row.fdi, [row.other === null ? "–" : labelOf(row.other), digits(row.differs, 1), percent(row.overlap)]);
    made.classList.toggle("other", row.other !== row.fdi);
    return made;
  });
  const renamed = rows.filter((row) => row.other !== row.fdi).length;
  box.replaceChildren(
    make("h2", `${rows.length === 1 ? "1 tooth differs" : `${rows.length || "No"} teeth differ`}${
      rows.length ? `, ${renamed || "none"} in number` : ""}`),
    ...(rows.length ? [make("table", [head([data.results[from], data.results[to], "differs, mm²", "overlap"]), make("tbody", list)])] : []));
}

function updateMeasures() {
  const groups = [["", data.measures], ...data.scans.map((scan) => [data.scans.length > 1 ? `${upperFirst(scan.jaw)} jaw` : "", scan.measures])];
  const when = data.scans.some((scan) => scan.review.version) ? ", of the labels at the start" : ""; // a page cannot measure
  const tables = groups.filter(([, measures]) => measures.length).map(([name, measures]) => make("table", [
    make("caption", `${name || "Measures"}${when}`),
    make("tbody", measures.map(({ name: what, value, unit, reason }) => make("tr", [
      make("td", [what, ...(reason.length ? [make("span", `not measured: ${saidWith(reason)}`, { className: "note" })] : [])], { className: "text" }),
      make("td", value === null ? "–" : `${value.toFixed(1)} ${unit}`)])))]));
  const meanings = new Map(groups.flatMap(([, measures]) => measures.map(({ name, definition }) => [name, definition])));
  const folded = make("details", [
    make("summary", "What is measured"),
    make("dl", [...meanings].flatMap(([name, definition]) => [make("dt", name), make("dd", saidWith(definition))])),
    make("p", "Accuracy: see docs/measures.md of toothgraph.", { className: "note" })], { className: "meanings", open: Boolean(at("measures").querySelector("details")?.open) });
  at("measures").replaceChildren(...tables, folded);
  at("measures").hidden = !tables.length;
}

function updateRuler() {
  const box = at("ruler"), { measured, ends } = state;
  document.body.classList.toggle("measuring", state.measuring);
  box.hidden = !state.measuring && !ends.length;
  if (box.hidden) return;
  const rows = [];
  if (measured) {
    rows.push(make("dt", "Straight line"), make("dd", digits(measured.straight, 2, " mm")), make("dt", "Along the surface"),
              make("dd", measured.along === null ? "the surface has a gap between the points" : digits(measured.along, 2, " mm")));
  }
  const next = ["Click the first point on the surface. With keys: arrows move a cross, Space clicks.", "Click the second point, or press Space.",
                measured ? "Click or press Space to measure again." : "Measuring …"][ends.length];
  box.replaceChildren(make("h2", "Ruler"), make("dl", rows), make("p", next, { className: "note" }));
}

function updateDoubts() { // each warning is a list of texts and tooth numbers
  at("doubts").replaceChildren(...data.scans.flatMap((scan) => scan.doubts.map(saidWith).map((doubt) => make(
    // a warning about both jaws does not name one of them
    "li", data.scans.length > 1 && !doubt.startsWith("both jaws") ? `${upperFirst(scan.jaw)} jaw: ${doubt}` : doubt))));
}

function updatePanel() {
  const focused = document.activeElement;
  const own = (one) => one.id || [one.closest("[id]")?.id, one.closest("tr")?.dataset.fdi, one.tagName, one.textContent].join();
  const held = focused && focused.closest("aside") && own(focused);
  updateChoices();
  updateDoubts();
  updateLegend();
  updateCard();
  updateRuler();
  updateCross();
  updateDifferences();
  updateTeeth();
  also.panel();
  // If the element with the keyboard focus was replaced, its successor gets the focus.
  if (held && !focused.isConnected) [...document.querySelectorAll("aside button, aside input, aside select")].find((one) => own(one) === held)?.focus();
}

function startPanel() {
  document.title = `${data.title} – toothgraph`;
  at("title").textContent = data.title;
  at("about").textContent = data.scans.map((scan) => scan.about).join("; ");
  at("placing").textContent = data.placing;
  const keys = [
    ["Drag", "Turn"], ["Wheel, pinch", "Zoom"], ["Shift + drag, two fingers", "Move"], ["Click", "Pick a tooth"],
    ...Object.values(KEYS).filter((key) => key.help).map((key) => [key.name, key.help]),
  ];
  at("help").querySelector("table").append(make("tbody", keys.map(([key, help]) => make("tr", [
    make("td", key.includes(" ") || key === "Drag" || key === "Click" ? key : make("kbd", key)), make("td", help)]))));
  updateMeasures();
  updatePanel();
}
