// ---- start
measureStage();
setView("Bite");
if (!gl) problem("This browser draws no WebGL, so the scan cannot be shown here.");
else {
  try { prepare(); redraw(); } catch (error) { problem(`The scan cannot be drawn: ${error.message}`); throw error; }
}
startPanel();
