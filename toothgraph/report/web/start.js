// ---- start
function begin() {
  try { prepare(); redraw(); } catch (error) { problem(`The scan cannot be drawn: ${error.message}`); throw error; }
}

measureStage();
setView("Bite");
if (!gl) problem("This browser draws no WebGL, so the scan cannot be shown here.");
else {
  begin();
  // A browser may take its drawing away (a phone's tab in the background, a graphics card that starts anew), and gives it
  // back empty.
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault(); // or it never comes back
    problem("The browser has stopped drawing. If the scan does not come back, load the page again.");
  });
  canvas.addEventListener("webglcontextrestored", () => { problem(""); named = null; begin(); });
}
startPanel();
