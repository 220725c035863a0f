// ---- Start
function begin() {
  try { prepare(); redraw(); } catch (error) { problem(`The scan cannot be drawn: ${error.message}`); throw error; }
}

measureStage();
setView("Bite");
if (!gl) problem("This browser does not support WebGL, so it cannot show the scan.");
else {
  begin();
  // A browser may take the WebGL context away, for example from a background tab on a phone or when the graphics card
  // restarts. It restores the context later, without its content.
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault(); // without this, the context is never restored
    problem("The browser has stopped drawing. If the scan does not return, load the page again.");
  });
  canvas.addEventListener("webglcontextrestored", () => { problem(""); named = null; begin(); });
}
startPanel();
