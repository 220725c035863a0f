from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest

from toothgraph.data import Split, load_split, make_split
from toothgraph.data.split import of_patients, warn_of_lone_jaws, warn_of_same_files, warn_of_visits
from toothgraph.errors import ConfigError, DataError
from toothgraph.scan_names import patient_of


@pytest.mark.parametrize(
    "scan_id, patient",
    [
        ("007_L", "007"),
        ("007_U", "007"),
        ("01F4JV8X_upper", "01F4JV8X"),
        ("01F4JV8X_lower", "01F4JV8X"),
        ("LOWER-12", "12"),
        ("Upper.12", "12"),
        ("12L", "12"),
        ("follower", "follower"),
        ("LUKE_7", "LUKE_7"),
        ("plain", "plain"),
        ("Smith_UpperJawScan", "Smith_Scan"),
        ("UpperJaw", "unnamed"),
        ("7_upper_jaw", "7"),
        ("shell_occlusion_u", "shell_occlusion"),
        ("Anna_L_Upper", "Anna"),
        ("7_u", "7"),
    ],
)
def test_a_patient_is_the_name_without_the_jaw(scan_id: str, patient: str) -> None:
    assert patient_of(scan_id) == patient


@pytest.mark.parametrize(
    "upper, lower",
    [
        ("L_12_upper", "L_12_lower"),
        ("12_U_upper", "12_U_lower"),
        ("a_upper_x", "a_lower_x"),
        ("U", "L"),
        ("007_U_upper", "007_L_lower"),
        ("upper_007_U", "lower_007_L"),
        ("model_1_u", "model_1_l"),
        ("7_u", "7_l"),
    ],
)
def test_both_jaws_of_a_patient_have_one_name(upper: str, lower: str) -> None:
    assert patient_of(upper) == patient_of(lower)


def test_labels_by_fraction_are_nested() -> None:
    split = Split(tuple(f"p{n}" for n in range(40)), ("v",), {})
    fractions = (0.01, 0.05, 0.1, 0.2, 0.5, 0.9, 1.0)
    chosen = [set(split.labelled(fraction)) for fraction in fractions]
    assert [len(patients) for patients in chosen] == [1, 2, 4, 8, 20, 36, 40]
    assert all(small < large for small, large in pairwise(chosen))
    assert Split(tuple(reversed(split.train)), ("v",), {}).labelled(0.2) == split.labelled(0.2)


def test_a_listed_fraction_is_taken_as_listed() -> None:
    split = Split(("a", "b", "c"), ("v",), {10: ("c",)})
    assert split.labelled(0.1) == ("c",)
    assert split.labelled(1.0) == ("a", "b", "c")


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.1, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="label fraction above 0"):
        Split(("a",), ("b",), {}).labelled(fraction)


def test_a_split_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": ["1", 2], "val": ["3"], "label_fraction_percent": {"50": [2]}}))
    assert load_split(path) == Split(("1", "2"), ("3",), {50: ("2",)})
    path.write_text(json.dumps({"train": ["1"], "val": []}))
    assert load_split(str(path)).fractions == {}
    path.write_text('{"train": ["1"], "val": [], "test": ["4"]}')
    assert load_split(path).test == ("4",)


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "expected a JSON split"),
        ("[]", "expected a JSON split"),
        ('{"train": ["1"]}', "found the keys 'train'"),
        ('{"train": 5, "val": []}', "expected a JSON split"),
        ('{"train": "abc", "val": ["d"]}', "expected a JSON split"),
        ('{"train": ["1"], "val": ["2"], "label_fraction_percent": [1]}', "expected a JSON split"),
        ('{"train": ["1"], "val": ["2"], "label_fraction_percent": {"few": ["1"]}}', "few"),
        ('{"train": ["1", "2"], "val": ["2"]}', "found in several: 2"),
        ('{"train": ["1"], "val": ["2"], "test": ["1"]}', "found in several: 1"),
        ('{"training": ["1"], "test": ["2"]}', "found the keys 'training', 'test'"),
        (
            '{"train": ["1"], "val": ["2"], "label_fraction_percent": {"10": ["2"]}}',
            "in label_fraction_percent, found others: 2",
        ),
    ],
)
def test_a_malformed_split_is_refused_with_its_path(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_split(path)
    assert str(path) in str(caught.value)


def test_a_split_made_by_hand_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="in one list of the split, found in several: 2"):
        Split(("1", "2"), ("2",), {})
    with pytest.raises(ConfigError, match="label_fraction_percent, found others: 3"):
        Split(("1", "2"), (), {10: ("3",)})


def test_a_missing_split_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.json: no such file or folder"):
        load_split(tmp_path / "nowhere.json")


def test_make_split_keeps_both_jaws_on_one_side() -> None:
    names = [f"{n:03d}_{jaw}" for n in range(20) for jaw in "UL"]
    patients = [patient_of(name) for name in names]
    split = make_split(patients, 0.2, seed=0)
    assert len(split.train) == 16 and len(split.val) == 4
    assert set(split.train) | set(split.val) == {f"{n:03d}" for n in range(20)}
    assert not set(split.train) & set(split.val)
    assert split == make_split(patients[::-1], 0.2, seed=0)
    assert split != make_split(patients, 0.2, seed=1)
    assert len(of_patients(names, patients, split.val)) == 8


@pytest.mark.parametrize("fraction, held", [(0.0, 0), (0.01, 1), (0.5, 2), (1.0, 2)])
def test_somebody_is_held_out_if_anybody_is_to_be_and_somebody_always_trains(fraction: float, held: int) -> None:
    split = make_split(["a", "b", "c"], fraction, seed=0)
    assert (len(split.train), len(split.val)) == (3 - held, held)


@pytest.mark.parametrize("names", [["1_U"], ["1_U", "1_L"], ["upper", "lower"]])
def test_a_single_patient_trains(names: list[str]) -> None:
    split = make_split(map(patient_of, names), 0.2, seed=0)
    assert len(split.train) == 1 and split.val == ()


def test_no_patient_is_too_few() -> None:
    with pytest.raises(DataError, match="at least one patient"):
        make_split([], 0.2, seed=0)


def test_only_candidates_are_held_out() -> None:
    patients = [f"p{n}" for n in range(10)]
    assert set(make_split(patients, 0.5, 0, ["p3", "p7", "other"]).val) == {"p3", "p7"}
    assert make_split(patients, 0.5, 0, []).val == ()


@pytest.mark.parametrize("share", [2, -1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="val_fraction"):
        make_split(["a", "b", "c"], share, seed=0)


def test_one_name_is_no_list_of_patients() -> None:
    with pytest.raises(ConfigError, match=r"patients as a list of names, got the text 'abc'; .*\['abc'\]"):
        make_split("abc", 0.2, seed=0)
    with pytest.raises(ConfigError, match="candidates as a list"):
        make_split(["a", "abc"], 0.2, 0, "abc")


@pytest.mark.parametrize(
    ("patients", "jaws", "told"),
    [
        (["a1", "a2", "b1", "b2"], [0, 1, 0, 1], True),
        (["x", "a1", "a2", "x", "b1", "b2", "y", "y"], [0, 0, 1, 1, 0, 1, 0, 1], True),  # half of them
        (["a", "a", "b1", "b2"], [0, 1, 0, 1], False),  # the names do tell
        ([f"x{n // 2}" for n in range(10)] + ["a1", "a2", "b1", "b2"], [0, 1] * 7, False),  # most of them
        (["x", "x", "a", "b", "c", "d"], [0, 1, 0, 0, 0, 0], False),  # one jaw of each
        (["a", "b", "c", "d"], [0, 0, 0, -1], False),  # one jaw of each
        (["a", "b", "c"], [0, 1, 1], False),  # too few to say
    ],
)
def test_jaws_that_are_patients_of_their_own_are_told(patients, jaws, told, caplog):
    warn_of_lone_jaws(patients, jaws)
    assert ("(a1, a2, b1, b2). If two are of one patient, this patient may be in" in caplog.text) is told
    assert bool(caplog.text) is told


def test_copies_of_a_scan_under_two_patients_are_told(tmp_path: Path, caplog) -> None:
    """They may train and validate."""
    files = [tmp_path / name for name in ("a.stl", "a (1).stl", "b.stl", "gone.stl", "c.teeth", "d.teeth")]
    begin = bytes(100_000)
    for file, end in zip(files[:3], (b"1", b"1", b"2"), strict=True):
        file.write_bytes(begin + end)
    for folder in files[4:]:
        folder.mkdir()
    warn_of_same_files(files, ["a", "a", *"bgcd"])
    assert not caplog.text
    warn_of_same_files(files, ["a", "a (1)", *"bgcd"])
    assert caplog.text.endswith(f"in training and in validation; keep one of them: {files[0]} = {files[1]}\n")


@pytest.mark.parametrize(
    ("places", "patients", "told"),
    [
        (["a/2023-01-10/upper", "a/2024-06-20/upper", "b/upper"], "121", True),
        (["a/20230110/UpperJawScan", "a/20.6.2024/LowerJawScan", "b/upper"], "123", True),
        (["a/2023-01-10/upper", "a/2024-06-20/upper", "b/upper"], "112", False),  # a list knows who it is
        (["a/2023-01-10/upper", "a/2024-06-20/upper"], "12", False),  # that holds all
        (["2023-01-10/upper", "2023-02-10/upper", "a/2023-01-10/upper", "a/2024-06-20/upper"], "1234", True),
        (["a/2023-01-10/c_upper", "a/2024-06-20/d_upper", "b/upper"], "123", False),  # names tell
        (["a/001/upper", "a/002/upper", "b/upper"], "123", False),  # numbers of patients
        (["a/2023-01-10/upper", "b/2024-06-20/upper"], "12", False),  # one visit each
    ],
)
def test_visits_that_are_patients_are_told(tmp_path: Path, places, patients, told, caplog) -> None:
    warn_of_visits([tmp_path / f"{place}.stl" for place in places], patients)
    assert (f"in {tmp_path / 'a'}, each folder named by a date counts as one patient. If these" in caplog.text) is told
    assert bool(caplog.text) is told


def test_patients_are_found_whichever_form_the_letters_of_a_split_have(tmp_path: Path) -> None:
    """macOS stores an accent as a sign of its own, editors write the letter with it."""
    forms = [unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD")]
    for one, other in (forms, forms[::-1]):
        path = tmp_path / "split.json"
        path.write_text(json.dumps({"train": [one], "val": ["b"]}, ensure_ascii=False), encoding="utf-8")
        split = load_split(path)
        assert of_patients(["scan"], [patient_of(f"{other}_upper")], split.train) == ["scan"]
