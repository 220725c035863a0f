// ---- how teeth are numbered: FDI, Universal (1 to 32, A to T) or Palmer. Inside, numbers are FDI; `numberOf` writes them.
// Pages of scans and lists of scans share it: each has a `state` with the `numbering` that is chosen.
const UPPER_ROW = [18, 17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27, 28]; // from the patient's right
const LOWER_ROW = [48, 47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38];
const PERMANENT = [...UPPER_ROW, ...[...LOWER_ROW].reverse()]; // around both jaws: Universal 1 to 32
const TO_PRIMARY = 40; // what a primary tooth has more than its successor
const PRIMARY = PERMANENT.filter((fdi) => fdi % 10 <= 5).map((fdi) => fdi + TO_PRIMARY); // Universal A to T
const LETTERS = "ABCDEFGHIJKLMNOPQRST";
const CORNERS = ["┘", "└", "┌", "┐"]; // of Palmer's cross, by quadrant; every font has these lines
const isPrimary = (fdi) => PRIMARY.includes(fdi);
const isTooth = (fdi) => PERMANENT.includes(fdi) || isPrimary(fdi);
const successorOf = (fdi) => isPrimary(fdi) ? fdi - TO_PRIMARY : fdi;
// All teeth as charts are read, a primary tooth behind its successor.
const IN_ROW = [...UPPER_ROW, ...LOWER_ROW].flatMap((fdi) => fdi % 10 <= 5 ? [fdi, fdi + TO_PRIMARY] : [fdi]);
const NUMBERINGS = {
  FDI: (fdi) => String(fdi),
  Universal: (fdi) => isPrimary(fdi) ? LETTERS[PRIMARY.indexOf(fdi)] : String(PERMANENT.indexOf(fdi) + 1),
  Palmer: (fdi) => {
    const quadrant = (Math.floor(fdi / 10) - 1) % 4, tooth = isPrimary(fdi) ? LETTERS[fdi % 10 - 1] : fdi % 10;
    return quadrant === 0 || quadrant === 3 ? `${tooth}${CORNERS[quadrant]}` : `${CORNERS[quadrant]}${tooth}`;
  },
};
const numberOf = (fdi) => isTooth(fdi) ? NUMBERINGS[state.numbering](fdi) : String(fdi);
// A text in parts, the FDI numbers of teeth among them.
const saidWith = (parts) => parts.map((part) => typeof part === "number" ? numberOf(part) : part).join("");
// The choice goes along from page to page, behind the # of the address.
const asked = location.hash.slice(1);
if (Object.hasOwn(NUMBERINGS, asked)) state.numbering = asked;
const withNumbering = (address) => state.numbering === "FDI" ? address : `${address}#${state.numbering}`;
// The buttons of the choice; `then` writes all numbers anew.
function chooseNumbering(box, then) {
  if (!box.childElementCount) {
    box.append(...Object.keys(NUMBERINGS).map((name) => Object.assign(document.createElement("button"), {
      type: "button", textContent: name, title: `Teeth are numbered as ${name}`,
      onclick: () => {
        state.numbering = name;
        location.replace(`#${name}`);
        chooseNumbering(box, then);
        then();
      },
    })));
  }
  for (const one of box.children) one.setAttribute("aria-pressed", one.textContent === state.numbering);
}
// What digits that were typed mean: { fdi } of a tooth, { more } if a digit may follow, or neither.
function typed(digits, picked) {
  const value = Number(digits), first = digits.length === 1;
  if (state.numbering === "Universal") return { fdi: PERMANENT[value - 1] ?? null, more: first && value <= 3 };
  const fdi = state.numbering === "Palmer" ? 10 * Math.floor(picked / 10) + value : value;
  return { fdi: isTooth(fdi) ? fdi : null, more: state.numbering === "FDI" && first && value >= 1 && value <= 8 };
}
