// ---- how teeth are numbered: FDI, Universal (1 to 32) or Palmer; inside, numbers are FDI
const UPPER_ROW = [18, 17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27, 28]; // from the patient's right
const LOWER_ROW = [48, 47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38];
const CORNERS = ["", "⏌", "⎿", "⎾", "⏋"]; // of Palmer's cross, by quadrant
const UNIVERSAL = [...UPPER_ROW, ...[...LOWER_ROW].reverse()];
const NUMBERINGS = {
  FDI: (fdi) => String(fdi),
  Universal: (fdi) => String(UNIVERSAL.indexOf(fdi) + 1),
  Palmer: (fdi) => { const [quadrant, tooth] = [Math.floor(fdi / 10), fdi % 10];
    return quadrant === 1 || quadrant === 4 ? `${tooth}${CORNERS[quadrant]}` : `${CORNERS[quadrant]}${tooth}`; },
};
const isTooth = (fdi) => UNIVERSAL.includes(fdi);
const rowOf = (fdi) => UPPER_ROW.includes(fdi) ? UPPER_ROW : LOWER_ROW;
function setNumbering(name) {
  review.numbering = name;
  also.number = (fdi) => isTooth(fdi) ? NUMBERINGS[name](fdi) : String(fdi);
}
// What digits that were typed mean: { fdi } of a tooth, { more } if a digit may follow, or neither.
function typed(digits, picked) {
  const value = Number(digits);
  if (review.numbering === "Palmer") return { fdi: value >= 1 && value <= 8 ? 10 * Math.floor(picked / 10) + value : null };
  if (review.numbering === "Universal") return { fdi: UNIVERSAL[value - 1] ?? null, more: digits.length === 1 && value <= 3 };
  return { fdi: isTooth(value) ? value : null, more: digits.length === 1 && value >= 1 && value <= 4 };
}
