// ---- Printing: the four views, in place of the one on the screen
const SHEET = [640, 400]; // size of each view, pixels
const TALL = [640, 3 * 400 + 2 * 22]; // size of the bite view of two jaws, pixels. It stands beside the three other views.
function printSheet() {
  const before = { ...state };
  const two = state.jaws.filter(Boolean).length > 1 && !comparison();
  const figures = Object.keys(LOOKS).map((name) => {
    [state.width, state.height] = two && name === "Bite" ? TALL : SHEET;
    setView(name);
    draw();
    return make("figure", [make("img", [], { src: canvas.toDataURL("image/png"), alt: name }), marks.cloneNode(true),
                           make("figcaption", name)]);
  });
  at("sheet").classList.toggle("two", two);
  at("sheet").replaceChildren(...figures);
  Object.assign(state, before);
  draw();
}
if (gl) window.addEventListener("beforeprint", printSheet);
