// ---- The shortest path over a surface. A* search first goes through the corners of faces. Then, near the path so far, it also
// goes through points on their edges, until the path gets no shorter.
function facesAround(scan) {
  if (scan.around) return scan.around;
  const { faces, points } = scan, start = new Uint32Array(points.length / 3 + 1), list = new Uint32Array(faces.length);
  for (const vertex of faces) start[vertex + 1] += 1;
  for (let v = 1; v < start.length; v++) start[v] += start[v - 1];
  const next = start.slice();
  faces.forEach((vertex, corner) => { list[next[vertex]++] = Math.floor(corner / 3); });
  scan.around = (vertex) => list.subarray(start[vertex], start[vertex + 1]);
  return scan.around;
}

function heap() { // a heap of [key, value]; `pop` returns the item with the least key
  const items = [];
  const swap = (a, b) => { [items[a], items[b]] = [items[b], items[a]]; };
  return {
    items,
    push(item) {
      let at = items.push(item) - 1;
      for (let up; at > 0 && items[up = (at - 1) >> 1][0] > items[at][0]; at = up) swap(at, up);
    },
    pop() {
      const least = items[0], last = items.pop();
      if (items.length) {
        items[0] = last;
        for (let at = 0, down; (down = 2 * at + 1) < items.length; at = down) {
          if (down + 1 < items.length && items[down + 1][0] < items[down][0]) down += 1;
          if (items[down][0] >= items[at][0]) break;
          swap(at, down);
        }
      }
      return least;
    },
  };
}

const length = (x, y, z) => Math.sqrt(x * x + y * y + z * z); // many times faster than Math.hypot

// The shortest path between two ends { face, point }, with `inner` points on each edge, through the `allowed` faces (all if null).
// Return { length, path: points, faces: those along the path }, or null if there is no path.
function wayThrough(scan, start, end, inner, allowed) {
  const { faces, points } = scan, around = facesAround(scan), count = points.length / 3, steps = inner + 1;
  const nodes = new Map(), borders = new Map(); // nodes by edge and step; for each face, the nodes on its border
  const [ex, ey, ez] = end.point;
  const makeNode = (x, y, z, own) => (
    { x, y, z, faces: own, left: length(x - ex, y - ey, z - ez), cost: Infinity, from: null, done: false });
  const nodeOn = (a, b, step) => { // the node at `step` of `steps` from corner a to corner b, a < b; if a = b, the corner itself
    const id = (a * count + b) * steps + step;
    let found = nodes.get(id);
    if (!found) {
      const share = step / steps, [x, y, z] = [0, 1, 2].map((k) => points[3 * a + k] + share * (points[3 * b + k] - points[3 * a + k]));
      const own = a === b ? around(a) : around(a).filter((f) => faces[3 * f] === b || faces[3 * f + 1] === b || faces[3 * f + 2] === b);
      nodes.set(id, found = makeNode(x, y, z, own));
    }
    return found;
  };
  const borderOf = (f) => {
    let made = borders.get(f);
    if (!made) {
      borders.set(f, made = []);
      for (let k = 0; k < 3; k++) {
        const a = faces[3 * f + k], b = faces[3 * f + (k + 1) % 3];
        made.push(nodeOn(a, a, 0));
        for (let step = 1; step < steps; step++) made.push(nodeOn(Math.min(a, b), Math.max(a, b), step));
      }
    }
    return made;
  };
  const open = heap(), goal = makeNode(ex, ey, ez, []), first = makeNode(...start.point, [start.face]);
  const reach = (next, from) => {
    if (next.done) return;
    const cost = from.cost + length(next.x - from.x, next.y - from.y, next.z - from.z);
    if (cost >= next.cost) return;
    [next.cost, next.from] = [cost, from];
    open.push([cost + next.left, next]);
  };
  first.cost = 0;
  open.push([first.left, first]);
  while (open.items.length) {
    const [, here] = open.pop();
    if (here === goal) break;
    if (here.done) continue;
    here.done = true;
    for (const f of here.faces) {
      if (allowed && !allowed.has(f)) continue;
      if (f === end.face) reach(goal, here);
      for (const next of borderOf(f)) reach(next, here);
    }
  }
  if (goal.cost === Infinity) return null;
  const path = [], passed = new Set([start.face, end.face]);
  for (let node = goal; node; node = node.from) {
    path.unshift([node.x, node.y, node.z]);
    for (const f of node.faces) passed.add(f);
  }
  return { length: goal.cost, path, faces: passed };
}

// The passed faces, and `rings` rings of faces around them.
function widened(scan, passed, rings) {
  const around = facesAround(scan);
  let all = passed;
  for (let ring = 0; ring < rings; ring++) {
    const wider = new Set(all);
    for (const f of all) for (let k = 0; k < 3; k++) for (const g of around(scan.faces[3 * f + k])) wider.add(g);
    all = wider;
  }
  return all;
}

// Return { straight, along, path } in mm. `along` and `path` are null if the surface does not connect the ends.
function measure(scan, start, end) {
  const straight = distance(start.point, end.point);
  let best = wayThrough(scan, start, end, 0, null);
  if (!best) return { straight, along: null, path: null };
  for (const [inner, rings, least] of [[1, 4, 0.9998], [3, 3, 0.9999], [7, 2, 0.9999]]) { // nearer to the path each time, with more points
    for (let round = 0, before = Infinity; round < 60 && best.length < least * before; round++) {
      before = round ? best.length : Infinity;
      const way = wayThrough(scan, start, end, inner, widened(scan, best.faces, rings));
      if (way.length < best.length) best = way;
    }
  }
  return { straight, along: best.length, path: best.path };
}
