from __future__ import annotations

from toothgraph.anatomy.tooth_text import ToothText, from_flat, tooth_text


def test_a_text_is_read_with_its_teeth_and_no_other_number_is_one() -> None:
    said = tooth_text([33, 34], ": 12 mm apart, 36% of ", [], "11")
    assert str(said) == "33, 34: 12 mm apart, 36% of 11" and said.teeth == (33, 34)
    assert said.flat == [33, ", ", 34, ": 12 mm apart, 36% of ", "11"]
    assert str(tooth_text()) == "" and tooth_text().teeth == ()


def test_a_page_has_it_in_pieces_and_gives_it_back() -> None:
    said = tooth_text("review ", [33, 34], ": not sure")
    again = from_flat(said.flat)
    assert str(again) == str(said) and again.teeth == said.teeth and again.flat == said.flat


def test_other_teeth_with_the_commas_between() -> None:
    said = tooth_text("review ", [33, 34, 35], ", not ", [36])
    now = {33: 43, 34: None, 35: 45, 36: None}
    assert said.with_teeth(now.get) == ToothText(("review ", (43, 45), ", not ", ()))
