"""Render docs/results.md and benchmarks/README.md from the JSON files in benchmarks/results.

    python benchmarks/render.py

No figure in those pages is typed by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from render_speed import speed_page, table

from toothgraph.fields import METRICS
from toothgraph.files import write_text

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def facts_line(facts: dict[str, Any]) -> str:
    """Hardware, versions and date in one line."""
    machine, packages = facts["hardware"], facts["versions"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    listed = ", ".join(f"{name} {packages[name]}" for name in ("torch", "torch-geometric", "lightning"))
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} thread(s) used, {gpus}; "
        f"{listed}, Python {packages['python']}; {facts['date'][:10]}; revision {facts['git']}."
    )


def real_scans(content: dict[str, Any]) -> str:
    """The section on the whole path, on real scans."""
    pre, fine, scores = content["pretrain"], content["finetune"], content["scores"]
    minutes = {name: seconds / 60 for name, seconds in content["seconds"].items()}
    commands = "\n".join(content["commands"].values())
    below = pre["last"]["val_ln_candidates"] - pre["last"]["val_loss"]
    flat = [
        [f"`{key}`", number(value, 4), METRICS[key]] for key, value in scores.items() if not isinstance(value, dict)
    ]
    nested = [
        [f"`{key}`", *(number(value[part], 4) for part in ("exp_tla", "tsa", "tir", "score"))]
        for key, value in scores.items()
        if isinstance(value, dict)
    ]
    teeth = [
        [
            str(row["fdi"]) if row["fdi"] else "gingiva",
            *(number(row[key]) for key in ("iou", "dice", "precision", "recall")),
            str(row["scans"]),
        ]
        for row in content["per_tooth"]
    ]
    worst = sorted(content["per_scan"], key=lambda row: row["miou"])[:5]
    return f"""## The whole path on real scans: 3D-IOSSeg, default preset

120 arches of 60 patients (Li et al., Computers in Biology and Medicine 168, 2024), 16,000 faces each, labels
as face colours. Pre-trained without labels on the {pre["train_scans"]} scans of the training patients,
fine-tuned on {fine["train_scans"]} labelled scans of the same, scored on {len(content["per_scan"])} scans of
{fine["val_scans"] // 2} other patients, on their original faces. The jaw came from the file name, the weights
are those of the last step.

{facts_line(content["facts"])} Seed {fine["options"]["seed"]}.

```
{commands}
```

`DATA` is the folder of the scans with its palette and split file, `RUNS` any folder; `benchmarks/real_scans.py`
runs and times the three. {content["note"]}

{table(
    ["stage", "minutes of wall clock", "steps", "outcome"],
    [
        ["pretrain", number(minutes["pretrain"], 1), f'{pre["last"]["step"]:.0f}',
         f'`val_match_top1` {number(pre["last"]["val_match_top1"])} among at least '
         f'{pre["last"]["val_candidates"]:.0f} candidates; loss {number(below, 2)} nats below ln(candidates)'],
        ["finetune", number(minutes["finetune"], 1), f'{fine["last"]["step"]:.0f}',
         f'`val_miou` {number(fine["last"]["val_miou"])} on the nodes of the graphs'],
        ["evaluate", number(minutes["evaluate"], 1), "", f'`miou` {number(scores["miou"])} on the original faces'],
        ["together", number(sum(minutes.values()), 1), "", ""],
    ],
)}

Mean over scans:

{table(["score", "value", "definition"], flat)}

{table(["3DTeethSeg challenge", "exp(−TLA)", "TSA", "TIR", "score"], nested)}

Per tooth, mean over the scans that have it:

{table(["FDI", "IoU", "Dice", "precision", "recall", "scans"], teeth)}

The worst scans:

{table(["scan", "miou", "accuracy", "boundary_iou"],
       [[row["scan_id"], *(number(row[key]) for key in ("miou", "accuracy", "boundary_iou"))] for row in worst])}

One seed; published figures for other systems rest on other scans and other definitions and are not compared here.
"""  # fmt: skip


def results_page() -> str:
    """docs/results.md."""
    content = json.loads((RESULTS / "real_scans.json").read_text(encoding="utf-8"))
    page = "# Results\n\nRendered by `benchmarks/render.py` from the JSON files in `benchmarks/results`; "
    return page + "run a benchmark again, and this page follows.\n\n" + real_scans(content)


def main() -> None:
    """Write the pages; that of the real scans where they were run."""
    pages = {HERE / "README.md": speed_page(RESULTS, facts_line)}
    if (RESULTS / "real_scans.json").exists():
        pages[HERE.parent / "docs" / "results.md"] = results_page()
    for file, page in pages.items():
        write_text(file, page)
        print(file)


if __name__ == "__main__":
    main()
