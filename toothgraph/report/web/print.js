// ---- on paper: the four views in place of the one on the screen
const SHEET = [640, 440]; // of each view, pixels
function printSheet() {
  const before = { ...state };
  [state.width, state.height] = SHEET;
  const figures = Object.keys(LOOKS).map((name) => {
    setView(name);
    draw();
    return make("figure", [make("img", [], { src: canvas.toDataURL("image/png"), alt: name }), marks.cloneNode(true),
                           make("figcaption", name)]);
  });
  at("sheet").replaceChildren(...figures);
  Object.assign(state, before);
  draw();
}
if (gl) window.addEventListener("beforeprint", printSheet);
