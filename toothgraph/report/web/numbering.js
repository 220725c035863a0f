// ---- Tooth numbering: FDI, Universal (1 to 32, A to T) or Palmer. The script uses FDI numbers; `numberOf` writes them in the
// chosen numbering. Pages of scans and lists of scans share this file: each has a `state` with the chosen `numbering`.
const UPPER_ROW = [18, 17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27, 28]; // from the patient's right
const LOWER_ROW = [48, 47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38];
const PERMANENT = [...UPPER_ROW, ...[...LOWER_ROW].reverse()]; // in the order of Universal 1 to 32
const TO_PRIMARY = 40; // FDI number of a primary tooth minus that of its successor
const PRIMARY = PERMANENT.filter((fdi) => fdi % 10 <= 5).map((fdi) => fdi + TO_PRIMARY); // Universal A to T
const LETTERS = "ABCDEFGHIJKLMNOPQRST";
const CORNERS = ["┘", "└", "┌", "┐"]; // corners of Palmer's cross, by quadrant; every font has these characters
const isPrimary = (fdi) => PRIMARY.includes(fdi);
const isTooth = (fdi) => PERMANENT.includes(fdi) || isPrimary(fdi);
const successorOf = (fdi) => isPrimary(fdi) ? fdi - TO_PRIMARY : fdi;
// All teeth in the order of a tooth chart. A primary tooth comes after its successor.
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
// Join the parts of a text. Parts that are FDI numbers are written in the chosen numbering.
const saidWith = (parts) => parts.map((part) => typeof part === "number" ? numberOf(part) : part).join("");
// The address holds the choice after its #, so that it is kept from page to page.
const asked = location.hash.slice(1);
if (Object.hasOwn(NUMBERINGS, asked)) state.numbering = asked;
const withNumbering = (address) => state.numbering === "FDI" ? address : `${address}#${state.numbering}`;
// Fill a box with buttons that choose the numbering. `then` is called after a choice, to write all numbers again.
function chooseNumbering(box, then) {
  if (!box.childElementCount) {
    box.append(...Object.keys(NUMBERINGS).map((name) => Object.assign(document.createElement("button"), {
      type: "button", textContent: name, title: `Show ${name} numbers`,
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
// The meaning of typed digits: `fdi` is the number of a tooth, or null if there is none; `more` tells if a digit may follow.
function typed(digits, picked) {
  const value = Number(digits), first = digits.length === 1;
  if (state.numbering === "Universal") return { fdi: PERMANENT[value - 1] ?? null, more: first && value <= 3 };
  const fdi = state.numbering === "Palmer" ? 10 * Math.floor(picked / 10) + value : value;
  return { fdi: isTooth(fdi) ? fdi : null, more: state.numbering === "FDI" && first && value >= 1 && value <= 8 };
}
