"""The tools on the page of a scan, in a browser; what they did is on the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from toothgraph.fdi import CHART, PRIMARY_TEETH
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch

from .conftest import Running

Serve, Drive = Callable[..., Running], Callable[..., dict[str, Any]]
EVIL = "</script><img src=x onerror='window.hacked = 1'>"
HEAD = """
  const labels = () => [...resultOf(data.scans[0]).labels];
  const count = (fdi) => labels().filter((label) => label === fdi).length;
  const saved = async () => { await last; await wait(); };
  const pointer = (kind, x, y, more) => { const { left, top } = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new PointerEvent(kind, { pointerId: 1, clientX: left + x, clientY: top + y, ...more })); };
  const drag = (from, to) => { pointer("pointerdown", ...from);
    const part = (k) => [0, 1].map((axis) => from[axis] + (to[axis] - from[axis]) * k / 10);
    for (let k = 1; k <= 10; k++) pointer("pointermove", ...part(k));
    pointer("pointerup", ...to); };
  const said = () => text("said");
  // where the middle of a tooth's faces is seen, whatever their labels are
  const seen = (faces) => { const scan = data.scans[0], at = project(scan); let [x, y, n] = [0, 0, 0];
    for (const f of faces) for (let k = 0; k < 3; k++) {
      const v = 3 * scan.faces[3 * f + k]; x += at[v]; y += at[v + 1]; n++; }
    return [state.width / 2 + x / n * state.scale, state.height / 2 - y / n * state.scale]; };
"""


def labels_of(running: Running) -> np.ndarray:
    return running.scans.open("one_L").session.labels


NUMBERS = (
    HEAD
    + """
  out.about = [text("about"), document.getElementById("onward").hidden];
  out.first = [text("stands"), document.querySelector("#steps button").disabled];
  const before = labels(), start = pixels();
  click(...where(37)); out.picked = state.picked;
  key("3"); out.half = said(); key("8"); await saved();
  out.renumbered = [count(37), count(38), state.picked, text("stands"), where(38) !== undefined];
  press("#steps", "Undo"); await saved(); out.undone = labels().every((label, f) => label === before[f]);
  key("Escape"); out.picture = differ(start, pixels());
  press("#steps", "Redo"); await saved(); out.redone = count(38);
  click(...where(36)); key("3"); key("5"); out.offers = [said(), text("offers")];
  press("#offers", "Swap the two numbers"); await saved();
  out.swapped = [state.picked, before.filter((l) => l === 36).length === count(35)];
  key("u"); await saved();
  click(...where(38)); press("#own", "+1"); await saved();
  out.refused = [said(), document.getElementById("said").className];
  click(...where(36)); key("]"); await saved(); out.shifted = [count(36), state.picked];
  click(...where(45)); press("#own", "Merge"); out.merging = said(); click(...where(44)); await saved();
  out.merged = [count(45), state.picked];
  click(...where(34)); key("g"); await saved(); out.gum = [count(34), state.picked, text("about")];
  click(...where(33)); const select = document.getElementById("number"); select.value = "34";
  select.dispatchEvent(new Event("change")); await saved(); out.chosen = [count(33), count(34) > 0];
  press("#numbering", "Universal"); out.universal = [where(21) !== undefined, text("teeth").includes("31")];
  key("2"); key("2"); await saved(); out.typed = [count(33) > 0, count(34)];
  press("#numbering", "Palmer"); out.palmer = where("┌3") !== undefined; press("#numbering", "FDI");
  click(...where(47)); key("]"); await saved(); const behind = state.picked;
  key("u"); await saved(); out.followed = [behind, state.picked];
  press("#steps", "Approve"); await saved(); key("a"); await saved(); out.approved = text("stands");
"""
)


def test_numbers_are_corrected(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    running = serve(doubts=(EVIL,))
    own = {tooth: int((crowns.labels == tooth).sum()) for tooth in range(31, 48)}
    out = drive(running, NUMBERS)
    assert out["about"] == ["lower jaw, 14 teeth", True]
    assert out["first"] == ["Not reviewed. ", True] and out["picked"] == 37 and out["half"] == "3 …"
    assert out["renumbered"] == [0, own[37], 38, "Corrected, not approved. All steps are saved.", True]
    assert out["undone"] and out["picture"] == 0 and out["redone"] == own[37]
    assert out["offers"] == ["35 is already used.", "Swap the two numbersMerge into one tooth"]
    assert out["swapped"] == [35, True]
    assert out["refused"] == ["38 is the last number of its quadrant.", "wrong"]
    assert out["shifted"][1] == 37 and out["shifted"][0] == 0
    assert out["merging"].startswith("Click the tooth that 45 is part of") and out["merged"] == [0, 44]
    assert out["gum"] == [0, None, "lower jaw, 12 teeth"] and out["chosen"] == [0, True]
    assert all(out["universal"]) and out["typed"] == [True, 0] and out["palmer"]
    assert out["followed"] == [48, 47]  # the same tooth
    assert out["approved"] == "Approved. All steps are saved."
    session = running.scans.open("one_L").session
    assert session.state == "approved"
    lines = [line["kind"] for line in running.scans.stores["one_L"].lines()]
    assert lines[:5] == ["start", "renumber", "undo", "redo", "swap"]
    assert lines[-1] == "approve" and lines.count("approve") == 1
    # it is all there when the page is opened again
    again = drive(
        running,
        HEAD + "out.there = labels(); out.stands = text('stands'); key('u'); await saved(); out.back = text('stands');",
    )
    np.testing.assert_array_equal(again["there"], session.labels)
    assert again["stands"] == "Approved. All steps are saved." and again["back"].startswith("Corrected")


def test_a_file_with_both_jaws_offers_the_numbers_of_both(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    upper = synthetic_arch(3, jaw=0, faces=4000)
    assert crowns.labels is not None and upper.labels is not None
    vertices = np.concatenate([crowns.vertices, upper.vertices + np.array([0, 0, 30])])
    labels = np.concatenate([np.where(crowns.labels == 35, 0, crowns.labels), upper.labels])
    both = Mesh(vertices, np.concatenate([crowns.faces, upper.faces + len(crowns.vertices)]), labels, scan_id="one_L")
    out = drive(serve(meshes={"one_L": both}), """
      const scan = data.scans[0], middle = (fdi) => { const faces = TRUTH[fdi], sum = [0, 0, 0];
        for (const f of faces) for (let k = 0; k < 3; k++) sum[k] += scan.points[3 * scan.faces[3 * f] + k];
        return sum.map((one) => one / faces.length); };
      pick(36); out.offered = [...document.querySelectorAll("#number option")].map((one) => Number(one.value));
      out.next = [nextTo(scan, 37), nextTo(scan, 27), nextTo(scan, 16)];
      out.guess = guess(scan, middle(35));
    """.replace("TRUTH", str({35: np.flatnonzero(crowns.labels == 35).tolist()})))  # fmt: skip
    assert {*CHART, *PRIMARY_TEETH.tolist()} == {*out["offered"]}
    assert out["next"] == [38, 28, 18] and out["guess"] == 35


SHAPES = (
    HEAD
    + """
  const truth = TRUTH, of = (fdi) => truth.flatMap((label, f) => label === fdi ? [f] : []);
  const overlap = (fdi) => { const now = labels(); let [both, either] = [0, 0];
    truth.forEach((label, f) => {
      both += label === fdi && now[f] === fdi; either += label === fdi || now[f] === fdi; });
    return both / either; };
  // 36 and 37 are one: split
  out.joined = count(37);
  press("#tooling", "Split"); out.hint = said();
  click(...seen(of(36))); out.hint2 = said(); click(...seen(of(37))); await saved();
  out.split = [overlap(36), overlap(37), state.picked, said()];
  // 44 has no label: a new tooth
  key("t"); click(...seen(of(44))); await saved(); out.added = [overlap(44), state.picked];
  // the brush: gum over a part of 46, then 46 again
  const whole = count(46), [x, y] = seen(of(46));
  click(...where(46)); key("Escape"); key("p"); out.brush = [said(), document.getElementById("brush").hidden];
  const radius = document.getElementById("radius"); radius.value = "2"; radius.dispatchEvent(new Event("input"));
  const ring = document.getElementById("ring"); pointer("pointermove", x, y);
  const [wide, left] = [ring.style.width, ring.style.left].map(parseFloat);
  out.ring = [ring.hidden, wide / state.scale, left + wide / 2 - x];
  const view = state.turn; drag([x - 20, y], [x + 20, y]); out.at_once = count(46); await saved();
  out.painted = [whole, count(46), state.turn === view]; key("u"); await saved(); out.unpainted = count(46);
  key("p"); out.ring.push(ring.hidden); key("p");
  key("p"); drag([x - 20, y], [x + 20, y]); await saved(); out.turned = [count(46), state.turn !== view];
  press("#views", "Bite");
  // a border around 47, drawn again
  const [cx, cy] = seen(of(47)), size = 5 * state.scale;
  click(...where(47)); key("k");
  for (let k = 0; k < 8; k++) click(cx + size * Math.cos(k * Math.PI / 4), cy + size * Math.sin(k * Math.PI / 4));
  written(); out.points = [review.points.length, document.querySelectorAll("#marks circle").length, count(47)];
  press("#tooling", "Finish"); await saved(); out.border = [overlap(47), said()];
  // all from nothing
  press("#tooling", "Label by clicks"); out.start = said();
  for (const fdi of [47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37]) click(...seen(of(fdi)));
  out.clicks = review.points.map((point) => point.number);
  key("Enter"); await saved();
  out.nothing = [47, 45, 36, 37].map(overlap);
"""
)


def test_shapes_are_corrected(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    wrong = np.where(crowns.labels == 37, 36, crowns.labels)
    wrong = np.where(wrong == 44, 0, wrong)
    running = serve(wrong)
    out = drive(running, SHAPES.replace("TRUTH", str(crowns.labels.tolist())))
    assert out["joined"] == 0 and out["hint"].startswith("Click one half") and "other half" in out["hint2"]
    assert min(out["split"][:2]) > 0.9 and out["split"][2] == 37 and "Type another number" in out["split"][3]
    assert out["added"][0] > 0.8 and out["added"][1] == 44
    assert "to paint gingiva" in out["brush"][0] and out["brush"][1] is False
    assert out["ring"] == [False, pytest.approx(4.0), pytest.approx(0.0, abs=1.0), True]  # as wide as the brush
    whole, left, stayed = out["painted"]
    assert 0 < left < whole - 5 and out["at_once"] == left and stayed and out["unpainted"] == whole
    assert out["turned"] == [whole, True]  # without the brush, dragging turns the scan
    assert out["points"][:2] == [8, 8] and out["points"][2] > 0
    assert out["border"][0] > 0.6 and "It is 47 now" in out["border"][1]
    assert out["clicks"] == [47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37]
    assert min(out["nothing"]) > 0.6
    kinds = [line["kind"] for line in running.scans.stores["one_L"].lines()]
    assert kinds == ["start", "split", "new", "paint", "undo", "border", "clicks"]


OTHERS = (
    HEAD
    + """
  const other = async (version, step) => (await fetch("../step/one_L", { method: "POST",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify({ version, step }) })).status;
  out.theirs = await other(0, { kind: "gingiva", tooth: 37 });
  click(...where(36)); key("g"); await saved();
  out.stale = [said(), count(37), count(36) > 0, review.scans.length, data.scans[0].review.version];
  key("g"); await saved(); out.again = [count(36), data.scans[0].review.version];
  // doubts and what is done
  press("#steps", "Next unsure tooth"); const doubt = state.picked; key("d"); out.next = [doubt, state.picked];
  key("x");
  out.hidden = [state.shown[out.next[1]], state.picked !== out.next[1], text("steps").includes("Show done teeth (1)")];
  press("#steps", "Show done teeth (1)"); out.shown = state.shown[out.next[1]];
  press("#own", "Swap"); out.tool = also.tool.name; key("Escape"); out.left = [also.tool, said()];
  out.help = text("help");
  window.fetch = () => Promise.reject(new Error("gone"));
  click(...where(35)); key("g"); await saved(); out.gone = [said(), count(35) > 0];
  out.hacked = window.hacked || 0;
"""
)


def test_other_windows_doubts_and_a_server_that_is_gone(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    running = serve(doubts=(EVIL,))
    out = drive(running, OTHERS)
    assert out["theirs"] == 200
    assert "another window" in out["stale"][0] and out["stale"][1:] == [0, True, 1, 1]
    assert out["again"] == [0, 2]
    assert out["next"][0] != out["next"][1] and out["hidden"] == [0, True, True] and out["shown"] == 1
    assert out["tool"] == "swap" and out["left"] == [None, ""]
    assert "Split a tooth" in out["help"] and "Next unsure tooth" in out["help"]
    assert "the server does not answer" in out["gone"][0] and out["gone"][1] is True
    assert out["hacked"] == 0
    np.testing.assert_array_equal(labels_of(running), np.where(np.isin(crowns.labels, [36, 37]), 0, crowns.labels))


HASTE = (
    HEAD
    + """
  const other = async (version, step) => (await fetch("../step/one_L", { method: "POST",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify({ version, step }) })).status;
  await other(0, { kind: "gingiva", tooth: 47 });
  click(...where(36)); key("3"); key("8"); key("a"); await saved();
  out.refused = [said(), text("stands"), state.picked, count(36) > 0, count(38)];
  key("a"); await saved(); out.approved = [said(), text("stands")];
  // a stroke that is shown already goes with the step before it
  const whole = count(45), [x, y] = where(45);
  await other(data.scans[0].review.version, { kind: "gingiva", tooth: 31 });
  pick(37); key("]"); pick(null); key("p"); drag([x - 20, y], [x + 20, y]); out.shown = count(45) < whole;
  await saved();
  out.back = [count(45) === whole, count(31), said()];
"""
)


def test_what_was_done_behind_a_step_that_is_refused_is_dropped(serve: Serve, drive: Drive) -> None:
    running = serve()
    out = drive(running, HASTE)
    assert "another window" in out["refused"][0] and "not done either" in out["refused"][0]
    assert out["refused"][1].startswith("Corrected, not approved") and out["refused"][2:] == [36, True, 0]
    assert out["approved"] == ["", "Approved. All steps are saved."]  # asked for once more, it is done
    assert out["shown"] and out["back"][:2] == [True, 0] and "another window" in out["back"][2]
    kinds = [line["kind"] for line in running.scans.stores["one_L"].lines()]
    assert kinds == ["start", "gingiva", "approve", "gingiva"]


STROKE = (
    HEAD
    + """
  const before = count(45), [x, y] = where(45);
  click(...where(36)); key("p"); key("3"); key("8"); drag([x - 20, y], [x + 20, y]);
  out.waits = count(45) === before; await saved(); await saved();
  out.painted = [count(36), count(45) < before, state.picked];
  // with a number that is refused, there is no stroke
  const other = (version, step) => fetch("../step/one_L", { method: "POST",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify({ version, step }) });
  await other(data.scans[0].review.version, { kind: "gingiva", tooth: 31 });
  const [u, v] = where(46), whole = count(46);
  key("3"); key("6"); drag([u - 20, v], [u + 20, v]); await saved(); await saved();
  out.refused = [count(46) === whole, said()];
"""
)


def test_a_stroke_has_the_number_that_the_picked_tooth_is_getting(serve: Serve, drive: Drive) -> None:
    running = serve()
    out = drive(running, STROKE)
    assert out["waits"] and out["painted"] == [0, True, 38]
    assert out["refused"][0] and "another window" in out["refused"][1]
    lines = [(line["kind"], line.get("to")) for line in running.scans.stores["one_L"].lines()]
    assert lines == [("start", None), ("renumber", 38), ("paint", 38), ("gingiva", None)]


BOTH = (
    HEAD
    + """
  const counts = () => [36, 38, 16].map((fdi) => data.scans.flatMap((scan) => [...resultOf(scan).labels])
    .filter((label) => label === fdi).length > 0);
  const off = () => ["Undo", "Redo"].map((name) => [...document.querySelectorAll("#steps button")]
    .find((one) => one.textContent === name).disabled);
  out.first = off();
  pick(36); key("3"); key("8"); await saved(); pick(16); key("g"); await saved();
  out.done = [counts(), state.picked];
  key("u"); await saved(); out.upper = counts(); key("u"); await saved(); out.lower = [counts(), off()];
  key("y"); await saved(); out.again = counts(); key("y"); await saved(); out.all = [counts(), off()];
  pick(38); key("u"); key("u"); await saved(); out.fast = [counts(), state.picked]; // whatever is picked
  pick(16); key("g"); key("u"); await saved(); out.one = counts(); // also while a step is being saved
  // what is taken back where it is not seen is told
  pick(36); key("3"); key("8"); await saved(); press("#jaws", "Upper"); key("u"); await saved();
  out.hidden = [said(), counts()];
"""
)
SHOWN = (
    HEAD
    + """
  press("#jaws", "Upper"); press("#steps", "Approve"); await saved(); out.approved = [said(), text("stands")];
  key("a"); await saved(); out.twice = said();
  press("#jaws", "Both"); key("a"); await saved(); out.both = [said(), text("stands")];
"""
)


@pytest.fixture
def patient(crowns: Mesh, serve: Serve) -> Running:
    """Both jaws of a patient under review."""
    upper = synthetic_arch(4, jaw=0, faces=6000, variation=Variation.none())
    return serve(meshes={"one_U": upper, "one_L": crowns})


def test_undo_takes_back_the_last_step_of_either_jaw(patient: Running, drive: Drive) -> None:
    out = drive(patient, BOTH, "patient/one")
    assert out["first"] == [True, True]
    assert out["done"] == [[False, True, False], None]
    assert out["upper"] == [False, True, True]  # the last step, with nothing picked
    assert out["lower"] == [[True, False, True], [True, False]]
    assert out["again"] == [False, True, True] and out["all"] == [[False, True, False], [False, True]]
    assert out["fast"] == [[True, False, True], 36]
    assert out["one"] == [True, False, True]
    assert out["hidden"] == ["Undone in the lower jaw, which is hidden.", [True, False, True]]


def test_a_jaw_that_is_not_shown_is_not_approved(patient: Running, drive: Drive) -> None:
    out = drive(patient, SHOWN, "patient/one")
    assert out["approved"] == ["Only the jaw that is shown is approved: the lower jaw is hidden.",
                               "Upper: approved; lower: not reviewed. All steps are saved."]  # fmt: skip
    assert out["twice"] == "Nothing new is approved: the lower jaw is hidden."
    assert out["both"] == ["", "Upper: approved; lower: approved. All steps are saved."]


KEYS = (
    HEAD
    + """
  const hit = (name) => canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  out.source = text("source");
  pick(44); hit("w"); out.tool = [also.tool.name, document.activeElement === canvas]; hit("ArrowUp");
  const on = text("cross"); hit("."); out.crosses = [on, text("cross"), state.picked];
  const before = [count(44), count(43)]; hit(" "); await saved(); out.swapped = [before, [count(43), count(44)]];
  pick(null); hit("p"); hit("ArrowUp"); out.brushOn = text("cross"); const whole = count(44);
  hit(" "); await saved(); out.painted = [whole, count(44)]; hit("Escape"); out.gone = text("cross");
"""
)


def test_tools_by_keys_alone(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    running = serve()
    out = drive(running, KEYS)
    assert out["source"] == "Labels at the start: not known."
    assert out["tool"] == ["swap", True]
    assert out["crosses"] == ["The cross is on 44, lower right first premolar.",
                              "The cross is on 43, lower right canine.", 44]  # fmt: skip
    assert out["swapped"][0] == out["swapped"][1]
    whole, left = out["painted"]
    assert "on 44" in out["brushOn"] and 0 < left < whole and out["gone"] == ""
    assert [line["kind"] for line in running.scans.stores["one_L"].lines()] == ["start", "swap", "paint"]


def test_the_list_names_scans_as_text(serve: Serve, dump: Callable[[str], str]) -> None:
    running = serve(names=("<b>a</b>_L", "b_L"), doubts=(EVIL,))
    running.scans.prepare_all()
    running.step(0, "b_L", kind="approve")
    shown = dump(running.server.address)
    assert "<title>Review – toothgraph</title>" in shown
    assert "2 scans: 1 approved, 0 corrected, 1 not reviewed" in shown
    assert "&lt;b&gt;a&lt;/b&gt;_L" in shown and "<b>a</b>" not in shown and "<img src=x" not in shown
    assert shown.index("&lt;b&gt;a") < shown.index(">b_L<")  # what is approved comes last
    assert 'href="scan/%3Cb%3Ea%3C%2Fb%3E_L"' in shown
    other = dump(running.server.address + "#Universal")
    assert 'href="scan/%3Cb%3Ea%3C%2Fb%3E_L#Universal"' in other and ">Universal</button>" in other


def test_one_scan_that_the_list_cannot_show_stops_no_other(serve: Serve, dump: Callable[[str], str]) -> None:
    running = serve(names=("a_L", "b_L"))
    running.scans.prepare_all()
    listed = running.scans.listed
    running.scans.listed = lambda: [{**row, **({"doubts": None} if row["name"] == "a_L" else {})} for row in listed()]
    shown = dump(running.server.address)
    assert "a_L cannot be shown: " in shown and 'href="scan/b_L"' in shown
    assert "2 scans: 0 approved" in shown and "The server does not answer" not in shown.split("<script>")[0]


def test_the_page_may_talk_to_its_server_only(serve: Serve) -> None:
    page = serve().ask("GET", "scan/one_L")[1]
    policy = page[page.index("Content-Security-Policy") :][:300]
    assert "default-src 'none'; connect-src 'self'; script-src 'sha256-" in policy
    assert "innerHTML" not in page and "__" + "PANEL__" not in page
