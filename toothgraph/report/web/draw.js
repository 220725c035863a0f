// ---- Drawing with WebGL: three corners per face, with normals that are smooth over the surface
const canvas = document.getElementById("view");
// Without a graphics card, edges are not smoothed: that takes longer than all other drawing.
const drawing = { antialias: true, preserveDrawingBuffer: true };
const gl = canvas.getContext("webgl", { ...drawing, failIfMajorPerformanceCaveat: true })
  || canvas.getContext("webgl", { ...drawing, antialias: false });
let program, uniforms, dirty = false;

function measureStage() {
  const small = (value) => Math.max(value, 40);
  [state.width, state.height] = [small(canvas.clientWidth), small(canvas.clientHeight)];
}

function problem(text) {
  document.getElementById("problem").textContent = text;
}

function corners(scan) {
  const { points, faces } = scan, normal = new Float32Array(points.length);
  for (let f = 0; f < faces.length; f += 3) {
    const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
    const ux = points[b] - points[a], uy = points[b + 1] - points[a + 1], uz = points[b + 2] - points[a + 2];
    const vx = points[c] - points[a], vy = points[c + 1] - points[a + 1], vz = points[c + 2] - points[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    for (let k = f; k < f + 3; k++) {
      normal[3 * faces[k]] += x; normal[3 * faces[k] + 1] += y; normal[3 * faces[k] + 2] += z;
    }
  }
  const where = new Float32Array(3 * faces.length), facing = new Int8Array(4 * faces.length);
  for (let corner = 0; corner < faces.length; corner++) {
    const at = 3 * faces[corner], length = Math.hypot(normal[at], normal[at + 1], normal[at + 2]) || 1;
    for (let k = 0; k < 3; k++) {
      where[3 * corner + k] = points[at + k];
      facing[4 * corner + k] = Math.round(127 * normal[at + k] / length);
    }
  }
  return { where, facing };
}
function cornerLabels(labels) {
  const own = new Uint8Array(3 * labels.length);
  labels.forEach((label, f) => own.fill(place(label), 3 * f, 3 * f + 3));
  return own;
}

function shader(kind, source) {
  const made = gl.createShader(kind);
  gl.shaderSource(made, source);
  gl.compileShader(made);
  if (!gl.getShaderParameter(made, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(made));
  return made;
}
function filled(content, buffer = gl.createBuffer()) {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, content, gl.STATIC_DRAW);
  return buffer;
}

function prepare() {
  program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `
    attribute vec3 where; attribute vec3 facing; attribute vec3 colour; attribute float label;
    uniform mat3 turn; uniform vec3 shift; uniform vec2 scale; uniform float reach; uniform float shown[100];
    uniform float picked;
    varying vec3 tint; varying vec3 normal; varying float own;
    void main() {
      vec3 p = turn * where + shift;
      gl_Position = vec4(p.xy * scale, -p.z / reach, 1.0);
      if (shown[int(label + 0.5)] < 0.5) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
      // Fade all labels except the picked tooth.
      float fade = picked < 0.0 || abs(label - picked) < 0.5 ? 0.0 : 0.6;
      tint = mix(colour, vec3(0.80), fade); normal = turn * facing; own = label;
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `
    precision mediump float; varying vec3 tint; varying vec3 normal; varying float own; uniform float naming;
    void main() {
      vec3 n = normalize(normal);
      float light = 0.38 + 0.50 * abs(n.z) + 0.16 * max(0.0, dot(n, normalize(vec3(-0.5, 0.7, 0.5))));
      gl_FragColor = naming > 0.5 ? vec4((own + 1.0) / 255.0, 0.0, 0.0, 1.0) : vec4(tint * light, 1.0);
    }`));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  gl.useProgram(program);
  const names = ["turn", "shift", "scale", "reach", "shown", "picked", "naming"];
  uniforms = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
  for (const scan of data.scans) {
    const { where, facing } = corners(scan);
    scan.buffers = { where: filled(where), facing: filled(facing), colour: [gl.createBuffer(), gl.createBuffer()],
                     label: scan.results.map((result) => filled(cornerLabels(result.labels))) };
  }
  gl.enable(gl.DEPTH_TEST);
  gl.enable(gl.SCISSOR_TEST);
  gl.clearColor(0, 0, 0, 0);
  recolour();
}

function recolour() {
  if (!gl) return;
  for (const scan of data.scans) {
    panes().forEach((pane, k) => filled(cornerColours(scan, pane), scan.buffers.colour[k]));
  }
}

// Update the buffers of a scan after some of its faces have got other labels.
function relabelled(scan, faces) {
  const { labels } = resultOf(scan), buffer = scan.buffers?.label[resultShown()] || scan.buffers?.label[0];
  if (!buffer) return;
  if (faces.length > 3000) { // fill the whole buffer at once
    filled(cornerLabels(labels), buffer);
    recolour();
    return;
  }
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  for (const f of faces) gl.bufferSubData(gl.ARRAY_BUFFER, 3 * f, new Uint8Array(3).fill(place(labels[f])));
  panes().forEach((pane, k) => {
    const of = faceColour(scan, pane);
    gl.bindBuffer(gl.ARRAY_BUFFER, scan.buffers.colour[k]);
    for (const f of faces) {
      const one = [...of(f), 255];
      gl.bufferSubData(gl.ARRAY_BUFFER, 12 * f, new Uint8Array([...one, ...one, ...one]));
    }
  });
}

function bind(name, buffer, size, type, normalised, stride) {
  const slot = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(slot);
  gl.vertexAttribPointer(slot, size, type, normalised, stride, 0);
}

// Draw one pane into a rectangle of pixels. With `naming`, the red value of each pixel is 1 + its label, in place of colours.
function drawPane(pane, index, [left, bottom, width, height], naming) {
  gl.viewport(left, bottom, width, height);
  gl.scissor(left, bottom, width, height);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.uniform2f(uniforms.scale, 2 * state.scale / pane.width, 2 * state.scale / pane.height);
  gl.uniform1f(uniforms.reach, state.reach);
  gl.uniform1fv(uniforms.shown, state.shown);
  gl.uniform1f(uniforms.picked, state.picked === null ? -1 : state.picked);
  gl.uniform1f(uniforms.naming, naming ? 1 : 0);
  for (const scan of data.scans.filter(seenOf)) {
    const { turn: m, shift } = transform(scan), { buffers } = scan;
    gl.uniformMatrix3fv(uniforms.turn, false, [0, 1, 2].flatMap((column) => m.map((row) => row[column])));
    gl.uniform3fv(uniforms.shift, shift);
    bind("where", buffers.where, 3, gl.FLOAT, false, 0);
    bind("facing", buffers.facing, 3, gl.BYTE, true, 4);
    bind("label", buffers.label[pane.result] || buffers.label[0], 1, gl.UNSIGNED_BYTE, false, 0);
    bind("colour", buffers.colour[index], 3, gl.UNSIGNED_BYTE, true, 4);
    gl.drawArrays(gl.TRIANGLES, 0, scan.faces.length);
  }
}

function draw() {
  dirty = false;
  const ratio = window.devicePixelRatio || 1;
  const pixels = [Math.round(state.width * ratio), Math.round(state.height * ratio)];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels;
  panes().forEach((pane, k) => drawPane(pane, k, [
    Math.round(pane.left * ratio), Math.round((state.height - pane.top - pane.height) * ratio),
    Math.round(pane.width * ratio), Math.round(pane.height * ratio)], false));
  drawMarks();
  state.frames += 1;
}
function redraw() {
  if (!dirty && gl) { dirty = true; requestAnimationFrame(draw); }
}

// ---- Where the number of each tooth is written. The scan is drawn once more, smaller, and its colours are the numbers.
const COARSE = 3; // pixels of the page per pixel of this smaller picture
let named = null;
function namesTarget(width, height) {
  if (named && named.width === width && named.height === height) return named;
  if (named) { gl.deleteTexture(named.texture); gl.deleteRenderbuffer(named.depth); gl.deleteFramebuffer(named.frame); }
  named = { width, height, frame: gl.createFramebuffer(), texture: gl.createTexture(), depth: gl.createRenderbuffer() };
  gl.bindTexture(gl.TEXTURE_2D, named.texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  gl.bindFramebuffer(gl.FRAMEBUFFER, named.frame);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, named.texture, 0);
  gl.bindRenderbuffer(gl.RENDERBUFFER, named.depth);
  gl.renderbufferStorage(gl.RENDERBUFFER, gl.DEPTH_COMPONENT16, width, height);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.RENDERBUFFER, named.depth);
  return named;
}

// Return a map from FDI number to [x, y] in the pane: the visible pixel of the tooth that is nearest to the middle of all its
// visible pixels. Teeth of fewer than 8 such pixels are left out.
function numberPlaces(pane, index) {
  if (!gl) return new Map();
  const [width, height] = [Math.ceil(pane.width / COARSE), Math.ceil(pane.height / COARSE)];
  gl.bindFramebuffer(gl.FRAMEBUFFER, namesTarget(width, height).frame);
  drawPane(pane, index, [0, 0, width, height], true);
  const pixels = new Uint8Array(4 * width * height), sums = new Map();
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  const each = (act) => {
    for (let at = 0, k = 0; at < pixels.length; at += 4, k++) {
      const fdi = pixels[at] - 1;
      if (fdi > 0 && fdi < NO_TOOTH) act(fdi, k % width, Math.floor(k / width));
    }
  };
  each((fdi, x, y) => {
    const sum = sums.get(fdi) || { count: 0, x: 0, y: 0, best: Infinity };
    sum.count += 1; sum.x += x; sum.y += y;
    sums.set(fdi, sum);
  });
  each((fdi, x, y) => {
    const sum = sums.get(fdi), off = Math.hypot(x - sum.x / sum.count, y - sum.y / sum.count);
    if (off < sum.best) [sum.best, sum.at] = [off, [COARSE * (x + 0.5), pane.height - COARSE * (y + 0.5)]];
  });
  return new Map([...sums].filter(([, sum]) => sum.count >= 8).map(([fdi, sum]) => [fdi, sum.at]));
}
