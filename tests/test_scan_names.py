from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from toothgraph.errors import MeshError
from toothgraph.fdi import LOWER, UNKNOWN_JAW, UPPER
from toothgraph.scan_names import (
    UNPACKED,
    cases_of,
    check_file_name,
    composed,
    jaw_from_name,
    long_names,
    may_be_named,
    may_be_of,
    output_names,
    patient_of,
    patients_of,
    scan_names,
    told_jaw,
)


@pytest.mark.parametrize(
    ("name", "jaw"),
    [
        ("007_L.ply", LOWER),
        ("007_U.ply", UPPER),
        ("013TXGFK_upper.ply", UPPER),
        ("/upper/Scan-LOWER.stl", LOWER),
        ("follower.stl", UNKNOWN_JAW),
        ("u_l.stl", UNKNOWN_JAW),
        ("upper_lower.stl", UNKNOWN_JAW),
        ("ULNA.stl", UNKNOWN_JAW),
        ("Smith_UpperJawScan.stl", UPPER),
        ("LowerJaw.stl", LOWER),
        ("LOWERJAW.stl", LOWER),
        ("shell_occlusion_u.stl", UPPER),
        ("shell_occlusion_l.stl", LOWER),
        ("12345_maxillary.stl", UPPER),
        ("Mandible 3.stl", LOWER),
        ("Anna_L_Upper.stl", UPPER),
        ("J. L. Smith upper.stl", UPPER),
        ("FollowerUp.stl", UNKNOWN_JAW),
        ("scan_lowermost.stl", UNKNOWN_JAW),
        ("model_ul.stl", UNKNOWN_JAW),
        ("model_1_l.stl", LOWER),
        ("7_u.stl", UPPER),
        ("IMG_1L2.stl", UNKNOWN_JAW),
        ("4U2.stl", UNKNOWN_JAW),
        ("7_U7.stl", UPPER),
        ("upperjawscan.stl", UPPER),
        ("smith_lowerscan.stl", LOWER),
        ("LOWERJAWSCAN.stl", LOWER),
        ("scanner_upperscanner.stl", UNKNOWN_JAW),
        ("Oberkiefer.stl", UPPER),
        ("anna-unterkiefer-scan.stl", LOWER),
        ("Mandibula.stl", LOWER),
        ("MANDÍBULA_3.stl", LOWER),
        ("maxilar.stl", UPPER),
        ("maxila.stl", UPPER),
        ("Maxilar_superior.stl", UPPER),
        ("maxilar inferior.stl", LOWER),
        ("arcada_superior.stl", UPPER),
        ("Arcada-Inferior.stl", LOWER),
        ("Superior.stl", UNKNOWN_JAW),  # it may be a name
        *(
            (f"{name}.stl", LOWER)
            for name in (
                "maxilar_inf",
                "anna maxilar inf",
                "MAXILAR_INF",
                "maxilarInf",
                "maxilarInferiorScan",
                "maxila inf",
                "anna - maxilar - inferior",
                "maxilar.inferior",
                "maxilar_(inferior)",
                "inferior maxilar",
                "maxila_inferior",
                "maxilla inferior",
                "Arcada.Inf",
            )
        ),
        ("anna_maxilar_sup.stl", UPPER),
        ("arcada sup.stl", UPPER),
        ("arcada.stl", UNKNOWN_JAW),
        ("maxilar_Infante.stl", UPPER),
        ("maxilarInfante.stl", UPPER),
        ("张三上颌.stl", UPPER),
        ("下颌_3.stl", LOWER),
        ("下顎スキャン.stl", LOWER),
        ("上下颌.stl", UNKNOWN_JAW),
        ("上颌_下颌.stl", UNKNOWN_JAW),
        ("case12_UJ.stl", UPPER),
        ("case12_LJ.stl", LOWER),
        ("LJ_Smith.stl", UNKNOWN_JAW),  # they may be those of a name
        ("JoséUpperJaw.stl", UPPER),
        ("upperÖzil.stl", UPPER),
        ("JOSÉ_l.stl", LOWER),
    ],
)
def test_jaw_from_name(name: str, jaw: int) -> None:
    assert jaw_from_name(name) == jaw


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("anna_maxilar_sup", "anna"),
        ("anna_maxilar_inf", "anna"),
        ("inferior maxilar anna", "anna"),
        ("maxilar_Infante", "Infante"),
        ("张三上颌", "张三"),
        ("下颌", "unnamed"),
        *((f"{one}_{jaw}", "007") for one, jaw in (("007_U", "upper"), ("007_L", "lower"), ("U_007", "upper"))),
        *((name, "unnamed") for name in ("U_upper", "L lower", "U.upper", "L")),
        ("L_lower_scan", "scan"),
        ("007.L.lower", "007"),
        ("Anna_L_Upper", "Anna"),
    ],
)
def test_all_that_says_the_jaw_is_no_part_of_the_patient(name: str, patient: str) -> None:
    assert patient_of(name) == patient


@pytest.mark.parametrize(
    "patient", ["L. Müller", "U_Smith", "L Smith", "Smith, U", "Smith U.", "J. L. Smith", "L.Smith"]
)
def test_initials_are_no_jaws_where_a_word_says_it(patient: str) -> None:
    """Or two people would be one, with both jaws."""
    jaws = ("upper", "lower")
    assert {patient_of(f"{patient}_{jaw}") for jaw in jaws} == {patient.strip(".")}
    files = [Path(f"{patient}/scans/{jaw}.stl") for jaw in jaws] + [Path(f"x/scans/{jaw}.stl") for jaw in jaws]
    assert patients_of(files, long_names(files)) == [patient.strip(".")] * 2 + ["x"] * 2


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    "name", ["RAÚL", "KUŞÇU", "GÜL_1", "DANIÉLA", "ÜMÜL", "Ü_Özil", "L̇_x", "éupper", "lowerü", "ЛУK"]
)
def test_letters_beyond_z_are_letters(name: str, form: Literal["NFC", "NFD"]) -> None:
    name = unicodedata.normalize(form, name)
    assert jaw_from_name(f"{name}.stl") == UNKNOWN_JAW and patient_of(name) == composed(name)
    assert jaw_from_name(f"{name}_U.stl") == UPPER and patient_of(f"{name}_L") == composed(name)
    assert jaw_from_name(unicodedata.normalize(form, "mandíbula.stl")) == LOWER


@pytest.mark.parametrize(
    ("names", "patient", "jaws"),
    [
        (("upper.stl", "lower.stl"), "anna", (0, 1)),
        (("lower.stl", "antagonist.stl"), "anna", (1, 0)),  # the other one is told by the first
        (("UpperJawScan.stl", "PreparationScan.stl"), "anna", (0, 1)),
        (("17_U.stl", "17.stl"), "17", (0, 1)),
        (("ben_upper.stl", "ben_opposing.stl"), "ben", (0, 1)),
        (("smith_john_upper.stl", "smith_antagonist.stl"), "smith_john", (0, 1)),
        (("ben_upper_prep.stl", "lower_antagonist.stl"), "ben__prep", (0, 1)),  # which says what it is, and not whose
    ],
)
def test_two_scans_of_a_folder_are_a_case(names, patient, jaws) -> None:
    files = [Path("anna") / name for name in names]
    cases = cases_of(files)
    assert cases[files[0]] is cases[files[1]]
    assert cases[files[0]].patient == patient and [cases[files[0]].jaws[file] for file in files] == list(jaws)
    assert patients_of(files, [file.stem for file in files]) == [patient, patient]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_both_jaws_of_a_name_in_any_script_are_a_case(form: Literal["NFC", "NFD"]) -> None:
    for name in ("müller", "Иванов", "田中", "सीमा"):
        files = [Path(unicodedata.normalize(form, f"scans/{name}_{jaw}.stl")) for jaw in ("upper", "lower")]
        assert patients_of(files, [file.stem for file in files]) == [composed(name)] * 2
        assert cases_of(files)[files[0]].patient == composed(name)


@pytest.mark.parametrize(
    "names",
    [
        ("anna_upper.stl", "ben.stl"),  # two patients
        ("upper.stl", "maxilla.stl"),  # the same jaw twice
        ("a.stl", "b.stl"),  # neither name tells
        ("upper.stl", "bite.stl", "other.stl"),
        *(("Smith_upper.stl", f"Smith_{what}.stl") for what in ("scanbody", "bite", "waxup", "PreOpScan")),
        ("UpperJawScan.ply", "BiteScan.ply"),
        ("lower.stl", "17.stl"),
        ("2023-01-02_upper.stl", "2023-02-01_lower.stl"),
        ("2023-01-02_upper.stl", "2023-02-01.stl"),
        ("12_upper.stl", "12_1_lower.stl"),
        ("1_1_upper.stl", "1_lower.stl"),
        ("1_upper.stl", "1_1.stl"),
        ("smith_upper.stl", "smith_john_lower.stl"),
        ("L_Smith_upper.stl", "U_Smith_lower.stl"),
        ("L. Smith upper.stl", "U. Smith lower.stl"),
        ("anna_upper.stl", "anna-maria_lower.stl"),
        *(
            (f"{one}_upper.stl", f"{other}_lower.stl")
            for one, other in (
                ("müller", "möller"),
                ("Иванов", "Петров"),
                ("田中", "佐藤"),
                ("सीमा", "सोमा"),
                ("ΝΙΚΗ", "ΝΙΚΟΣ"),
            )
        ),
        ("Иванов_upper.stl", "Петров.stl"),
    ],
)
def test_other_scans_are_no_case(names) -> None:
    files = [Path("anna") / name for name in names]
    assert cases_of(files) == {}
    assert patients_of(files, [file.stem for file in files]) == [patient_of(file.stem) for file in files]


def test_names_of_scanners_are_not_those_of_patients() -> None:
    files = [Path("anna/UpperJawScan.stl"), Path("anna/LowerJawScan.stl")]
    assert patients_of(files, [file.stem for file in files]) == ["anna", "anna"]


def test_a_folder_with_one_file_per_tooth_may_have_full_stops_in_its_name(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("2023.05.01_upper", "2023.05.02_upper", "Dr. Smith lower", "a_upper.teeth")]
    for folder in folders:
        folder.mkdir()
    assert [jaw_from_name(folder) for folder in folders] == [0, 0, 1, 0]
    names = ["2023.05.01_upper", "2023.05.02_upper", "Dr. Smith lower", "a_upper"]
    assert scan_names(folders) == output_names(folders) == names


def test_a_text_is_a_name_and_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case.upper").mkdir()
    assert jaw_from_name("case.upper") == UNKNOWN_JAW and jaw_from_name("x" * 300 + "_upper") == UPPER
    assert jaw_from_name(Path("x" * 300 + "_upper")) == UPPER


def test_only_a_name_that_does_not_tell_is_told() -> None:
    files = [Path("anna/upper.stl"), Path("anna/other.stl"), Path("ben/scan.stl")]
    cases = cases_of(files)
    assert [told_jaw(file, cases) for file in files] == [None, 1, None]


@pytest.mark.parametrize(
    ("places", "names", "patients"),
    [
        (
            [f"{who}/{jaw}/scan.stl" for who in ("anna", "ben") for jaw in ("upper", "lower")],
            ["anna_upper_scan", "anna_lower_scan", "ben_upper_scan", "ben_lower_scan"],
            ["anna", "anna", "ben", "ben"],
        ),
        (
            ["anna/2024/upper.stl", "anna/2024/lower.stl", "ben/2024/upper.stl"],
            ["anna_2024_upper", "anna_2024_lower", "ben_2024_upper"],
            ["anna_2024", "anna_2024", "ben_2024"],
        ),
        (["a/x/7_U.stl", "b/x/7_U.ply", "x/7_U.stl"], ["a_x_7_U", "b_x_7_U", "x_7_U"], ["a_x_7", "b_x_7", "x_7"]),
        # As they always were:
        (["anna/upper/scan.stl", "anna/lower/scan.stl"], ["upper_scan", "lower_scan"], ["scan", "scan"]),
        (["anna/7_U.stl", "ben/x/7_U.stl", "8_U.stl"], ["anna_7_U", "x_7_U", "8_U"], ["anna_7", "x_7", "8"]),
    ],
)
def test_scans_of_one_name_have_as_many_folders_in_front_as_tell_them_apart(tmp_path, places, names, patients) -> None:
    """Never that which was given, or those above it."""
    files = [tmp_path / place for place in places]
    assert scan_names(files) == long_names(files) == names
    assert patients_of(files, names) == patients
    assert all(name in may_be_named(file) for file, name in zip(files, names, strict=True))
    if len({file.suffix for file in files}) == 1:
        assert output_names(files) == names


@pytest.mark.parametrize(
    ("places", "patients"),
    [
        (["anna/upper", "ben/lower"], ["anna", "ben"]),
        (["anna/UpperJawScan", "ben/LowerJawScan"], ["anna", "ben"]),
        (["L. Smith/upper", "U. Smith/lower"], ["L. Smith", "U. Smith"]),
        (["anna/upper/scan", "ben/lower/scan"], ["anna", "ben"]),
        (["anna_upper/upper", "anna_lower/lower"], ["anna", "anna"]),
        (["anna/2024/upper", "ben/2024/lower"], ["anna_2024", "ben_2024"]),
        (
            [f"{place}/bite" for place in ("anna", "ben")]
            + ["anna/UpperJaw", "anna/LowerJaw", "ben/Maxilla", "ben/Mandible"],
            ["anna_bite", "ben_bite", "anna", "anna", "ben", "ben"],
        ),
        (  # two cases
            ["anna/2024/upper", "anna/2024/lower", "ben/2024/UpperJawScan", "ben/2024/LowerJawScan"],
            ["anna_2024", "anna_2024", "ben_2024", "ben_2024"],
        ),
        (["anna/upper", "ben_upper", "ben_lower"], ["unnamed", "ben", "ben"]),  # in one folder only
    ],
)
def test_scans_of_several_folders_whose_names_tell_no_patient_are_of_several(tmp_path, places, patients) -> None:
    files = [tmp_path / f"{place}.stl" for place in places]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
    assert patients_of(files, output_names(files)) == patients


def test_a_suffix_in_a_name_is_no_part_of_the_patient() -> None:
    files = [Path(f"s/anna_{end}") for end in ("upper.stl", "upper.ply", "lower.stl")]
    names = output_names(files)
    assert names == ["anna_upper.stl", "anna_upper.ply", "anna_lower"] and patients_of(files, names) == ["anna"] * 3
    long = [Path(f"s/{'x' * 240}_upper.{kind}") for kind in ("stl", "ply")]
    assert patients_of(long, output_names(long)) == ["x" * 240] * 2


@pytest.mark.parametrize(
    ("one", "other"), [("Anna", "anna"), *(("M\u00fcller", f"M{u}ller") for u in ("u\u0308", "U\u0308"))]
)
def test_names_that_macos_and_windows_take_for_one_are_told_apart(one: str, other: str) -> None:
    files = [Path(f"{place}_{jaw}.stl") for place in (f"a/{one}", f"b/{other}") for jaw in ("upper", "lower")]
    names = [f"{place}_{jaw}" for place in (f"a_{one}", f"b_{other}") for jaw in ("upper", "lower")]
    assert output_names(files) == scan_names(files) == names
    assert len({composed(name).casefold() for name in names}) == 4
    here = [Path(f"a/{one}_upper.stl"), Path(f"a/{other}_upper.stl"), Path("b/ben.stl")]  # where they are two files
    assert output_names(here) == [file.stem for file in here]


def test_the_words_of_either_scan_tell_whose_a_case_is() -> None:
    files = [Path("s/antagonist_lower.stl"), Path("s/ben_upper.stl")]
    assert patients_of(files, output_names(files)) == ["ben", "ben"]


def test_the_folder_of_here_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cases").mkdir()
    monkeypatch.chdir(tmp_path / "cases")
    assert output_names([Path("upper.stl"), Path("anna/upper.stl")]) == ["cases_upper", "anna_upper"]


def test_a_patient_may_be_told_by_a_folder_above_that_of_the_jaw() -> None:
    """So that a model that has learned from such a tree knows a single scan of it."""
    assert "anna" in may_be_of(Path("anna/upper/scan.stl"))


def test_names_of_archives_do_not_tell_where_they_were_unpacked(tmp_path: Path) -> None:
    """Another process unpacks them elsewhere, and finds the same names."""
    places = [tmp_path / f"{UNPACKED}{draw}" / case / "x" / "upper.stl" for draw, case in (("k3", "cb"), ("p9", "ca"))]
    assert long_names(places) == ["cb_x_upper", "ca_x_upper"]


def test_names_of_other_bytes_than_utf8_can_be_printed_and_stay_apart() -> None:
    """As Linux has them of old archives; Python reads such a byte as half a character, which cannot be written."""
    files = [Path(os.fsdecode(name)) for name in (b"x/M\xfcller_U.stl", b"x/M\xe4ller_U.stl", b"K\xf6/scan_U.stl",
                                                  b"B\xf6/scan_U.stl")]  # fmt: skip
    wanted = ["M%FCller_U", "M%E4ller_U", "K%F6_scan_U", "B%F6_scan_U"]
    assert scan_names(files) == output_names(files) == long_names(files) == wanted
    assert patients_of(files, wanted) == ["M%FCller", "M%E4ller", "K%F6_scan", "B%F6_scan"]
    case = [file.with_name(f"{jaw}.stl") for file in files[2:3] for jaw in ("upper", "lower")]
    assert patients_of(case, scan_names(case)) == ["K%F6", "K%F6"] and "K%F6" in may_be_of(case[0])
    check_file_name(files[2])
    with pytest.raises(MeshError, match=r"M%FCller_U.stl: expected a file name in UTF-8, .* rename the file"):
        check_file_name(files[0])


def test_names_that_no_other_file_could_have_are_refused_under_another() -> None:
    files = [Path("a/b\rc.stl"), Path(f"a/{'ü' * 123}.stl")]
    cut = f"{'ü' * 60}~{hashlib.sha256(('ü' * 123).encode()).hexdigest()[:16]}"
    assert output_names(files) == ["b%0Dc", cut]
    for file, said in zip(
        files, ("found control characters", "at most 243 bytes before its suffix, got 246"), strict=True
    ):
        with pytest.raises(MeshError, match=said):
            check_file_name(file)
    check_file_name(Path(f"{'p' * 243}.stl"))
    deep = [Path(f"{letter * 200}/{'q' * 200}_U.stl") for letter in "ab"]
    names = output_names(deep)
    assert len({*names}) == 2 and all(len(name) <= 243 for name in names)
