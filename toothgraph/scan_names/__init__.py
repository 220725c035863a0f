"""Names of scans: what they say of the patient and the jaw, and how output files are named after them."""

from toothgraph.scan_names.characters import (
    LONGEST,
    check_file_name,
    composed,
    printable,
    short_enough,
    stem_of,
)
from toothgraph.scan_names.outputs import (
    UNPACKED,
    beside_scan,
    lasting,
    long_names,
    may_be_named,
    output_names,
    scan_names,
    without_unpacked,
)
from toothgraph.scan_names.patients import (
    Case,
    above_dates,
    cases_of,
    learned_from,
    may_be_of,
    patients_of,
    together_by,
    told_jaw,
)
from toothgraph.scan_names.words import jaw_from_name, patient_of, tells, untold, without_jaw

__all__ = [
    "LONGEST",
    "UNPACKED",
    "Case",
    "above_dates",
    "beside_scan",
    "cases_of",
    "check_file_name",
    "composed",
    "jaw_from_name",
    "lasting",
    "learned_from",
    "long_names",
    "may_be_named",
    "may_be_of",
    "output_names",
    "patient_of",
    "patients_of",
    "printable",
    "scan_names",
    "short_enough",
    "stem_of",
    "tells",
    "together_by",
    "told_jaw",
    "untold",
    "without_jaw",
    "without_unpacked",
]
