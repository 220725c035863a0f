"""A hasty hand on the page of a review: the tooth that was meant is changed, nothing is lost, or painted unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from toothgraph.anatomy import doubt as kinds
from toothgraph.anatomy.doubt import Doubt
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch

from .conftest import Running
from .test_page import HEAD, labels_of

Serve, Drive = Callable[..., Running], Callable[..., dict[str, Any]]

STROKES = (
    HEAD
    + """
  const [x, y] = where(45), whole = count(45);
  const stroke = () => { pointer("pointerdown", x - 20, y); pointer("pointermove", x, y); };
  // Esc, or another tool, while the button is down: what is painted is saved
  key("p"); stroke(); key("Escape"); pointer("pointerup", x, y); await saved();
  out.esc = [count(45) < whole, count(45), labels().every((label, f) => label === data.scans[0].saved[f])];
  key("u"); await saved(); out.back = count(45) === whole;
  // a second finger: the stroke is taken off, and the two zoom
  const other = (kind, x, y) =>
    canvas.dispatchEvent(new PointerEvent(kind, { pointerId: 2, clientX: x, clientY: y })), scale = state.scale;
  key("Escape"); key("p"); stroke(); out.begun = count(45) < whole;
  const { left, top } = canvas.getBoundingClientRect();
  other("pointerdown", left + x + 60, top + y); other("pointermove", left + x + 160, top + y);
  other("pointerup", left + x + 160, top + y); pointer("pointerup", x, y); await saved();
  out.pinch = [count(45) === whole, state.scale > 1.2 * scale, data.scans[0].review.version];
  // a pointer of few events leaves no gaps
  press("#views", "Bite"); const from = where(47), to = where(45), middle = where(46), before = count(46);
  key("Escape"); key("p");
  pointer("pointerdown", ...from); pointer("pointermove", ...to); pointer("pointerup", ...to); await saved();
  out.whole = [count(46) < before, under(...middle).label]; key("u"); await saved();
  // hidden teeth are not painted
  const own = count(46); pick(46); key("h"); pick(null); key("Escape"); key("p"); state.shown[46] = 0;
  const radius = document.getElementById("radius"); radius.value = "5"; radius.dispatchEvent(new Event("input"));
  drag([from[0], from[1]], [to[0], to[1]]); await saved(); out.unseen = [count(46) === own, count(47) > 0];
"""
)


def test_strokes(serve: Serve, drive: Drive) -> None:
    running = serve()
    out = drive(running, STROKES)
    smaller, left, saved = out["esc"]
    assert smaller and saved and left > 0 and out["back"]
    assert out["begun"] and out["pinch"] == [True, True, 2]
    assert out["whole"] == [True, 0] and out["unseen"][0]


NUMBERS = (
    HEAD
    + """
  // a number is of the tooth for which it was typed
  press("#numbering", "Universal"); pick(36); key("1"); pick(35); await saved();
  out.quick = [count(36), count(18), count(35) > 0, state.picked];
  key("u"); await saved(); pick(36); key("1"); key("Escape"); pick(35); await saved();
  out.esc = [count(36) > 0, count(35) > 0]; press("#numbering", "FDI");
  // the next step is of the tooth that is picked after the one before
  const slow = window.fetch, sizes = [count(36), count(37)]; key("Escape");
  window.fetch = async (...given) => { await new Promise((then) => setTimeout(then, 300)); return slow(...given); };
  pick(36); key("w"); click(...where(37)); key("g"); await saved(); await saved(); await saved();
  out.swapped = [sizes, count(36), count(37)]; window.fetch = slow;
  key("u"); await saved(); key("u"); await saved(); out.back = [count(36), count(37)];
  // what is done stays done under its new number
  key("Escape"); pick(37); key("x"); pick(36); key("]"); await saved();
  out.done = [[...review.finished], state.shown[38], state.shown[37]];
  key("u"); await saved(); out.undone = [[...review.finished], state.shown[37], state.shown[36]];
  // only the numbers of this jaw, and milk teeth of it
  key("Escape"); press("#steps", "Show done teeth (1)"); pick(36);
  const offered = [...document.querySelectorAll("#number option")].map((one) => Number(one.value));
  out.offered = [offered.length, offered.includes(16), offered.includes(75)];
  // a second tooth gets the nearest free number
  out.next = nextTo(data.scans[0], 34);
  key("s"); click(...where(36)); click(...where(36)); out.split = [review.points.length, said()]; key("Escape");
  // clicks go on along the arch, with milk teeth too, and by Palmer
  const beside = where(44);
  press("#tooling", "Label by clicks"); key("8"); key("5"); click(...where(45)); out.milk = said();
  press("#numbering", "Palmer"); key("4"); click(...beside); out.palmer = review.points.map((point) => point.number);
  press("#numbering", "FDI"); key("Escape"); key("Escape");
  press("#numbering", "Universal"); key("t"); click(...where(19)); await saved(); out.said = said();
"""
)


def test_numbers(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    out = drive(serve(), NUMBERS)
    size = {tooth: int((crowns.labels == tooth).sum()) for tooth in (36, 37)}
    assert out["quick"] == [0, size[36], True, 35] and out["esc"] == [True, True]
    assert out["swapped"] == [[size[36], size[37]], size[37], 0]  # what was picked, the former 36, is gone
    assert out["back"] == [size[36], size[37]]
    assert out["done"] == [[38], 0, 1] and out["undone"] == [[37], 0, 1]
    assert out["offered"] == [26, False, True] and out["next"] == 38
    assert out["split"][0] == 1 and "other half" in out["split"][1]
    assert out["milk"].startswith("85 is set. Next: 84") and out["palmer"] == [85, 84]
    assert out["said"].startswith("this place is of 19")


def test_a_number_of_the_other_jaw_is_taken_back_where_it_was_given(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    upper = synthetic_arch(4, jaw=0, faces=6000, variation=Variation.none())
    running = serve(meshes={"one_U": upper, "one_L": crowns})
    out = drive(running, HEAD + """
      const of = (scan, fdi) => [...resultOf(scan).labels].filter((label) => label === fdi).length;
      const [lower, upper] = ["lower", "upper"].map((jaw) => data.scans.find((scan) => scan.jaw === jaw));
      const sizes = [of(lower, 36), of(upper, 16)];
      document.querySelector('#teeth tr[data-fdi="16"]').click(); key("3"); key("6"); await saved();
      out.given = [of(lower, 36), of(upper, 36)]; key("1"); key("6"); await saved();
      out.back = [of(lower, 36), of(upper, 36), of(upper, 16)]; out.sizes = sizes;
    """, "patient/one")  # fmt: skip
    lower, above = out["sizes"]
    assert out["given"] == [lower, above] and out["back"] == [lower, 0, above]


def test_warnings_are_those_of_the_present_labels(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    said = (
        Doubt.of(kinds.OTHER_NUMBERS, "review the numbers: ", [36], " may be ", [37]),
        Doubt.of(kinds.CLOSED, "closed"),
    )
    running = serve(doubts=said)
    out = drive(running, HEAD + """
      out.first = text("doubts"); pick(36); key("g"); await saved(); out.now = text("doubts");
      pick(44); key("w"); click(...where(45)); await saved(); out.wrong = text("doubts");
      key("u"); await saved(); key("u"); await saved(); out.back = text("doubts");
    """)  # fmt: skip
    assert "36 may be" in out["first"] and "36 may be" not in out["now"] and "closed" in out["now"]
    assert "review the numbers" in out["wrong"] and "36 may be" in out["back"]
    running.scans.step("one_L", running.scans.open("one_L").session.version, {"kind": "gingiva", "tooth": 36})
    assert running.ask("GET", "scans")[1]["scans"][0]["doubts"] == [["closed"]]


def test_a_stroke_is_taken_off_where_no_server_answers(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    running = serve()
    out = drive(running, HEAD + """
      const [x, y] = where(45), whole = count(45); window.fetch = () => Promise.reject(new Error("gone"));
      key("p"); drag([x - 20, y], [x + 20, y]); out.painted = count(45) < whole; await saved();
      out.after = [count(45) === whole, said()];
    """)  # fmt: skip
    assert out["painted"] and out["after"][0] and "Not saved" in out["after"][1]
    np.testing.assert_array_equal(labels_of(running), crowns.labels)


@pytest.mark.parametrize("kept", ["letters choose in a list", "the focus stays"])
def test_keys_in_the_panel(kept: str, serve: Serve, drive: Drive) -> None:
    out = drive(serve(), HEAD + """
      pick(36); const list = document.getElementById("number"); list.focus();
      list.dispatchEvent(new KeyboardEvent("keydown", { key: "g", bubbles: true })); await saved();
      out.there = count(36) > 0; list.value = "38"; list.focus(); updatePanel();
      out.list = document.activeElement.id;
      const hide = document.getElementById("gingiva"); hide.focus(); hide.click();
      out.button = [document.activeElement.id, document.activeElement.textContent];
    """)  # fmt: skip
    if kept == "the focus stays":
        assert out["list"] == "number" and out["button"] == ["gingiva", "Show gingiva"]
    else:
        assert out["there"]


def test_a_tooth_with_new_labels_keeps_no_flags_of_another(crowns: Mesh, serve: Serve, drive: Drive) -> None:
    running = serve()
    out = drive(running, HEAD + """
      pick(45); key("x"); pick(44); key("j"); click(...where(43)); await saved();
      out.merged = [[...review.finished], state.shown[43], state.shown[45]];
    """)  # fmt: skip
    assert out["merged"] == [[45], 1, 0]
