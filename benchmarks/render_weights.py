"""Pages on trained weights, from what default_weights.py and prediction_steps.py have written; see render.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from render_common import facts_line, number, table

from toothgraph import weights
from toothgraph.data.split import patient_of

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WORST = ("miou", "miou_matched", "accuracy", "boundary_iou")  # scores of the worst scans
SEEN = """No net was trained on these patients, but the recipe, and the rules and constants of prediction (which cuts
part two teeth, when two pieces are one, how numbers follow each other), were chosen with the scores and the mistakes on
these very scans in view, a few of them on those of teeth3ds too. On patients and scanners that nobody has looked at
expect less: no such set was left to measure how much."""


def flat_scores(sets: dict[str, Any]) -> str:
    """One line per set of scans."""
    keys = ("accuracy", "dice", "miou", "miou_paper", "miou_matched", "boundary_iou")
    lines = []
    for name, content in sets.items():
        rows, scores = content["per_scan"], content["scores"]
        right = sum(row["jaw"] == row["predicted_jaw"] for row in rows)
        challenge = number(scores["challenge_code"]["score"])
        lines.append(
            [name, str(len(rows)), *(number(scores.get(key)) for key in keys), challenge, f"{right}/{len(rows)}"]
        )
    return table(["set", "scans", *(f"`{key}`" for key in keys), "challenge", "jaw right"], lines)


def default_weights(content: dict[str, Any]) -> str:
    """The section on the weights that come with the package."""
    worst = sorted(
        (
            row | {"set": name.split(",")[0]}
            for name, own in content["sets"].items()
            for row in own["per_scan"]
            if name.endswith("as stored")
        ),
        key=lambda row: row["miou"],
    )[:8]
    name = "default_weights-worst.png"
    picture = f"![the worst scans: truth and what was found](images/{name})" if (IMAGES / name).exists() else ""
    return f"""## The weights in the package

Scored by `benchmarks/default_weights.py`, as `toothgraph predict` labels a scan, on the original faces. {
        facts_line(content["facts"])
    }

{SEEN}

{flat_scores(content["sets"])}

`sha256` {content["sha256"]}, {content["bytes"] / 1e6:.1f} MB. "As stored" gives the jaw and leaves the scan in the
frame of its file, which differs from set to set; "turned" turns every scan at random (seed 0).

The worst scans as stored, with the jaw given:

{table(["set", "scan", *(f"`{key}`" for key in WORST)],
       [[row["set"], row["scan_id"], *(number(row[key]) for key in WORST)] for row in worst])}

{picture}
"""  # fmt: skip


def prediction_steps(content: dict[str, Any]) -> str:
    """The section on the steps of prediction."""
    keys = ("miou", "miou_matched", "boundary_iou", "accuracy")
    lines = [
        [name, title, *(number(row["scores"][key]) for key in keys),
         number(row["scores"]["challenge_code"]["score"]), str(row["duplicates"])]
        for name, steps in content["sets"].items()
        for title, row in steps.items()
    ]  # fmt: skip
    head = ["set", "prediction", *(f"`{key}`" for key in keys), "challenge", "numbers twice"]
    return f"""## What each step of prediction is worth

Scored by `benchmarks/prediction_steps.py` with the weights in the package: every scan turned at random, the jaw
withheld, one step left out at a time. A number stands twice where two pieces of at least 30 mm² carry it. {
        facts_line(content["facts"])
    }

{table(head, lines)}
"""


def synthetic_weights(content: dict[str, Any]) -> str:
    """The section on a net that has seen no real scan."""
    header = content["header"]
    return f"""## A net trained on synthetic arches alone

Its weights carry no notice, since no one's data went into them. They are not in the package:

```
toothgraph synth SCANS --scans 96 --faces 16000
toothgraph finetune SCANS --out RUN --steps {header["steps"]} --validate-every 500
python benchmarks/default_weights.py DATA --model RUN --out benchmarks/results/synthetic_weights.json
```

{len({patient_of(scan) for scan in header["train"]})} synthetic patients, seed {header["seed"]}. {
        facts_line(header["trained"])
    }

{flat_scores(content["sets"])}

Scored at revision {content["facts"]["git"]}. Before 301426e the challenge compared with labels per vertex that had gone
to faces and back, which on teeth3ds gave a little too much.
"""


def model_card(content: dict[str, Any]) -> str:
    """docs/model_card.md."""
    header = content["header"]
    trained = header["trained"]
    return f"""# Model card: the default weights

Rendered by `benchmarks/render.py` from `benchmarks/results/default_weights.json`.

| | |
| --- | --- |
| file | `toothgraph/weights/default.safetensors`, {content["bytes"] / 1e6:.1f} MB, matrices in half precision |
| sha256 | `{content["sha256"]}` |
| net | default preset: pair geometry and a pyramid of factorised EdgeConvs, see [method](method.md) |
| trained on | {header["data"]}: {len(header["patients"])} patients |
| recipe | pre-trained without labels, fine-tuned with all labels: {header["steps"]} steps, seed {header["seed"]} |
| trained | {trained["date"][:10]}, revision {trained["git"]}, torch {trained["versions"]["torch"]} |

## Terms

{weights.notice()}

The data: 3D-IOSSeg, published with Fast-TGCN by Li et al., Computers in Biology and Medicine 168, 2024. It states no
licence. Whoever needs weights free of that trains them on scans of their own, or on synthetic arches
(`toothgraph synth`).

## Intended use

Research on tooth segmentation of intraoral scans: labels for every face and vertex of one jaw, to be looked at by a
person; a start for fine-tuning on scans of another scanner. Not for diagnosis, treatment or any decision about a
patient.

## Scores

{flat_scores(content["sets"])}

{SEEN}

How they were scored, and the worst of them: [results](results.md). What each score
means: [scores](scores.md).

## Limits

- Trained on scans of a single data set. How it does on scans of two other origins stands above.
- Permanent teeth only. Milk teeth, implants, brackets and edentulous jaws were not in the data.
- Where a tooth was extracted and its gap closed, a side of seven teeth, or one whose missing tooth is no premolar, may
  be numbered one off from the gap on: compare `miou` with `miou_matched`, which leaves numbers aside. Where numbers
  were moved past a gap, `predict` says so.
- A surface in which fewer than four teeth are found, or only unsure ones, gets a warning. What else may pass for teeth
  was not measured.
"""
