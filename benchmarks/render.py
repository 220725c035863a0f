"""Render docs/results.md, model_card.md and reliability.md, benchmarks/README.md and the figures of README.md.

    python benchmarks/render.py

All come from benchmarks/results; no figure in them is typed by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ablation import RESULTS as ABLATION
from default_weights import CONDITIONS
from label_efficiency import RESULTS as STUDY
from render_common import Row, facts_line, facts_of, number, table
from render_reliability import reliability_page
from render_speed import speed_page
from render_study import (
    ablation_table,
    ablation_verdict,
    better_rates,
    budgets,
    draw_curve,
    flatness_table,
    has_pair,
    patient_table,
    rates_table,
    scored_before,
    share_that_suffices,
    still_rising,
    studies,
    study_table,
    verdict,
)
from render_weights import IMAGES, default_weights, model_card, prediction_steps, synthetic_weights
from study import read_rows

from toothgraph.fields import METRICS
from toothgraph.files import write_text

HERE = Path(__file__).resolve().parent
README, RESULTS, DOCS = HERE.parent / "README.md", HERE / "results", HERE.parent / "docs"
ORIGINS = {
    "3d-iosseg": "other patients of the same set",
    "teeth3ds": "another scanner",
    "odd-scans": "exports of other programs",
}
FIGURES = ("<!-- rendered by benchmarks/render.py -->", "<!-- end of what is rendered -->")


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


def curve_name(*key: str | int) -> str:
    """The stem of the files of a study's curve."""
    return "-".join(map(str, ("label_efficiency", *key)))


def draw_curves(rows: list[Row]) -> None:
    """The curve of each set of rows that may be compared, as PNG and SVG."""
    IMAGES.mkdir(exist_ok=True)
    for key, own in studies(rows).items():
        if has_pair(own):
            protocol, dataset, *_, faces = key
            files = [IMAGES / f"{curve_name(*key)}.{ending}" for ending in ("png", "svg")]
            draw_curve(own, f"{dataset}, {protocol} protocol, {faces} faces", files)


def label_efficiency(rows: list[Row]) -> str:
    """The section on fewer labels: a table and a curve for each set of rows that may be compared."""
    also = " or ".join(f"{number} of them" for number in sorted({row["also"] for row in rows if row.get("also")}))
    parts = [
        f"""## Fewer labels: from scratch and pre-trained

`benchmarks/label_efficiency.py` fine-tunes the default net on a share of the labelled training patients, from random
and from pre-trained weights, with the same number of steps, and scores the weights of the last step on the validation
patients' original faces. Pre-training sees all training scans and no labels. (The scans are turned upright by their
labels when they are read; of that nothing is left, since every view is then turned at random, uniformly over all
rotations, and no rotation changes an embedding.) "Pre-trained on more" saw synthetic arches besides (`toothgraph
synth`), {also}.

`miou` is the mean over seeds, smallest and largest in brackets. The gain, in points, is paired by patient and of the
seeds that both sides have, so it need not be the difference of the means beside it. Its 95 % interval is a bootstrap
over the patients and over the seeds (10,000 draws); with two or three seeds it is too narrow rather than too wide. The
labelled patients of a share are the same for every seed, so nothing here tells how another choice of them would do: at
2 % it is a single one. A recipe is named by a hash of all options that the runs share. Every run was scored by the
prediction as it was then: figures are compared within a table, not with those of another or of the weights below.
"""
    ]
    largest_first = sorted(studies(rows).items(), key=lambda item: -len(item[1]))
    for (protocol, dataset, recipe, steps, faces), own in largest_first:
        curve = "Nothing is compared yet: no share of labels was run both from scratch and pre-trained."
        if has_pair(own):
            name = curve_name(protocol, dataset, recipe, steps, faces)
            curve = f"""![`miou` by share of labels](images/{name}.png)

{verdict(own)}
{share_that_suffices(own)}
{better_rates(own)}

What pre-training gains patient by patient, in points, at each share of the labels:

{patient_table(own)}"""
        minutes = sum(row["minutes"] for row in own)
        parts.append(f"""### {protocol} protocol: {dataset}, {steps} steps, graphs of {faces} faces, recipe {recipe}

{facts_of(own)} Runs: {len(own)}, in {minutes / 60:.1f} hours of wall clock with other work on the same cores.

{study_table(own)}

{curve}

The same with numbers aside: `miou_matched`, the predicted teeth renumbered, one to one, to fit best.

{study_table(own, "miou_matched")}

Whether the curves are flat: `val_miou` on the nodes of the validation patients' graphs, mean over seeds.

{flatness_table(own)}

{still_rising(own)}

Where several learning rates were tried, the tables show, for each initialisation and share of labels, those run with
the most seeds, and of several such those with the best `miou` on these patients, which flatters the side that tried
more. All of them:

{rates_table(own)}
""")
    return "\n".join(parts)


OLDER = """¹ Scored, at least in part, by an older prediction, which differs in when two pieces become one tooth: a
small difference to the default may come from that.

"""


def ablation(rows: list[Row]) -> str:
    """The section on the parts of the recipe."""
    parts = [
        """## What each part of the recipe is worth

`benchmarks/ablation.py`: the default with one change at a time, all labels, scored on the validation patients with the
weights of the last step. The gain is paired by patient with the default of the same seeds; its 95 % interval is a
bootstrap over the patients and, where there are several, the seeds. A single seed does not tell how seeds differ: see
the default's own spread. A difference of less than a point in a single seed may be chance.
"""
    ]
    for (dataset, steps, faces), own in budgets(rows).items():
        older = OLDER if any(map(scored_before, own)) else ""
        parts.append(f"""### {dataset}: {steps} steps, graphs of {faces} faces

{facts_of(own)}

{ablation_table(own)}

{older}By the intervals of both scores, which for a single seed are those of the patients alone. {ablation_verdict(own)}
""")
    return "\n".join(parts)


def tooth_sizes(content: dict[str, Any]) -> str:
    """The section on labels that count past a gap."""
    lines = [[row["set"], row["scan_id"], ", ".join(map(str, row["odds"]))] for row in content["counted"]]
    ratios = [
        [pair, str(row["pairs"]), *(f"{np.exp(m):.2f} (±{100 * d:.0f} %)" for m, d in
                                    zip(row["median"], row["deviation"], strict=True))]
        for pair, row in content["ratios"].items()
    ]  # fmt: skip
    return f"""## Labels that count past a closed gap

`benchmarks/tooth_sizes.py` looks at the labels alone. A tooth's extents as shares of those of the tooth behind it, over
the training patients of 3d-iosseg (the deviation from medians, so that a few wrong labels do not count):

{table(["teeth", "pairs", "mesiodistal", "buccolingual"], ratios)}

By that a first molar is known from a premolar whatever its number. In {len(content["counted"])} of
{content["scans"]} labelled scans the tooth labelled as a second premolar is a molar: where a premolar was extracted,
these labels count on past the gap, while those of other patients leave the number of the missing tooth out. A net
trained on both cannot know which a scan wants, and scores on such scans tell more of the labels than of the net.

{table(["set", "scan", "odds that it is a molar, nats, by side"], lines)}

{facts_line(content["facts"])}
"""


def tooth_cuts(content: dict[str, Any]) -> str:
    """The section on where one tooth ends."""
    limits = content["limits"]
    shares = ("large", "bulky", "narrow", "less narrow", "parted")
    lines = [
        [what, str(content[what]["count"]), *(f"{100 * content[what][share]:.1f} %" for share in shares)]
        for what in ("one tooth", "two neighbours")
    ]
    heads = [
        "what bears one number",
        "count",
        f"{limits['large']} times as large or more",
        f"more than {limits['bulky']} times",
        f"cut of {limits['narrow']} or less",
        f"of {limits['less narrow']} or less",
        "parted",
    ]
    areas = [[jaw, *(f"{area:.0f}" for area in of.values())] for jaw, of in content["areas"].items()]
    return f"""## Where one tooth ends

Two teeth that touch may get one number from a net. They are parted by the narrowest cut (the length of the border,
less in folds, over the root of the area on its smaller side), if together they are large for one tooth of that number
in this mouth: a narrow cut of what is large, a less narrow one of what is very large. `benchmarks/tooth_cuts.py` takes
the labels of the {content["scans"]} scans of the training patients, tooth by tooth, and every two neighbours as if they
bore one number:

{table(heads, lines)}

The usual areas, medians in mm²:

{table(["jaw", *map(str, range(1, 9))], areas)}

{facts_line(content["facts"])}
"""


def scans_section() -> str:
    """The section on what everything is measured on."""
    iosseg = (
        "120 arches of 60 patients, 16,000 faces each, labels as face colours; published with Fast-TGCN (Li et al., "
        "Computers in Biology and Medicine 168, 2024), without a stated licence"
    )
    teeth3ds = (
        "8 arches of as many patients of Teeth3DS (Ben-Hamadou et al., 3DTeethSeg'22; CC BY-NC-ND), another scanner, "
        "labels as vertex colours"
    )
    odd = (
        "4 labelled arches as other programs export them: VTP with FDI or Universal numbers, teeth missing, a surface "
        "that is no manifold"
    )
    used = "48 patients to train, 12 to validate; the patients of each share of labels are part of the larger shares"
    lines = [
        ["3d-iosseg", iosseg, used],
        ["teeth3ds", teeth3ds, "never trained on"],
        ["odd-scans", odd, "never trained on"],
    ]
    return f"""## The scans

{table(["set", "what it is", "used"], lines)}

None of them is in the repository.
"""


WHAT_DID_NOT_HELP = """## What did not help

Tried by hand or in single runs, so no table; each can be tried again.

- Training on arches with an extracted tooth and a closed gap (`[cuts] extraction`), in a tenth and in three tenths of
  the draws: the validation patients gained where a patient has such gaps (078), scans of other origin lost, since
  numbers then shift where nothing was extracted. Off by default. The sizes of the teeth tell better: see
  [method](method.md).
- Bending, stretching and wider scaling of whole scans together (`[augmentation] elastic`, `stretch`, `scale`): lower on
  the validation patients with numbers aside, no gain on other scanners. Off by default.
- Six tessellations instead of three in prediction: no gain, twice the time.
- Three points of `miou` at 10 and 20 % of the labels, the tables above: at 10 % a pre-trained backbone brings them
  neither at the full rate of the head nor at a tenth of it (a higher rate of the head was not tried with it); at 20 %
  only a tenth was run. The labels of five patients already bring a net from scratch, at the best of its rates, to where
  all labels bring it, and three points more would be above every run here. What is left are numbers on patient 078,
  whose upper jaw is labelled as lacking its canines: there pre-training loses; the other patients together change by
  less than a point. With one patient labelled, every patient gains.
- Twice the steps from scratch with all labels, the tables above (one seed): the curve is flat then, and the net no
  better than with half of them. So it is not for want of steps that scratch stays below pre-trained there.
- Tuning on one seed: from scratch with 10 %, a rate of 0.006 looked like a gain of a point and a half over 0.003; two
  further seeds took two thirds of that away.
- Pre-training on synthetic arches besides the scans, in one seed with one patient labelled: no more than on the scans
  alone.

What is left, from pictures of the worst scans: numbers, not borders. `078_U` is labelled as lacking its canines, while
the teeth that stand there have a canine's shape and size; `labelled-upper` and `labelled-lower` are labelled by
counting, with one premolar and three molars a side, and a net that tells molars from premolars is scored as wrong
there; teeth that are about to come through (`01A6HAN6_upper`) are missed.
"""


def results_page() -> str:
    """docs/results.md."""
    page = "# Results\n\nRendered by `benchmarks/render.py` from the JSON files in `benchmarks/results`; "
    parts = [
        page + "run a benchmark again, and this page follows.\n",
        scans_section(),
        real_scans(read_result("real_scans")),
        label_efficiency(read_rows(STUDY)),
        ablation(read_rows(ABLATION)),
        default_weights(read_result("default_weights")),
        prediction_steps(read_result("prediction_steps")),
        tooth_cuts(read_result("tooth_cuts")),
        tooth_sizes(read_result("tooth_sizes")),
        synthetic_weights(read_result("synthetic_weights")),
        WHAT_DID_NOT_HELP,
    ]
    return "\n".join(parts)


def minutes_line(content: dict[str, Any]) -> str:
    """How long the whole path takes, from a run of it."""
    minutes = {stage: f"{seconds / 60:.0f}" for stage, seconds in content["seconds"].items()}
    scans = len(content["per_scan"])
    return (
        f"With their defaults, `pretrain` and `finetune` took {minutes['pretrain']} and {minutes['finetune']} minutes "
        f"on one core of a CPU that was busy besides, with {content['finetune']['train_scans']} scans of 16,000 faces; "
        f"`evaluate` took {content['seconds']['evaluate'] / scans:.0f} s per scan."
    )


def readme_figures(weights_content: dict[str, Any], rows: list[Row]) -> str:
    """The part of README.md that tells how good the results are: the study with the most runs, and the weights."""
    own = max(studies(rows).values(), key=len)
    scores = [
        [ORIGINS[name.split(",")[0]], name.split(",")[0], str(len(content["per_scan"])),
         *(number(content["scores"][key]) for key in ("miou", "miou_matched", "accuracy"))]
        for name, content in weights_content["sets"].items()
        if name.endswith(CONDITIONS[-1])
    ]  # fmt: skip
    return f"""The weights in the package, on scans they were not trained on, each turned at random and its jaw
withheld. Recipe and prediction were developed with these scans in view; on others expect less
([results](docs/results.md#the-weights-in-the-package)).

{table(["what they are", "set", "scans", "`miou`", "`miou_matched`", "`accuracy`"], scores)}

A net with few labelled patients, from scratch, pre-trained on scans without labels, and on these and synthetic arches
("more"): `miou` on other patients, mean over seeds with the smallest and largest, and the gain in points with its 95 %
interval, of the seeds that both have:

{study_table(own)}

{" ".join(filter(None, (verdict(own), better_rates(own))))}

{minutes_line(read_result("real_scans"))}

More, with what each score means, hardware and what did not work: [docs/results.md](docs/results.md)."""


def readme(page: str) -> str:
    """README.md with its figures as the result files have them."""
    begin, end = FIGURES
    before, rest = page.split(begin)
    _, after = rest.split(end)
    figures = readme_figures(read_result("default_weights"), read_rows(STUDY))
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


def read_result(name: str) -> dict[str, Any]:
    """The content of a result file."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def pages() -> dict[Path, str]:
    """All that is rendered from the result files of this repository."""
    return {
        README: readme(README.read_text(encoding="utf-8")),
        HERE / "README.md": speed_page(RESULTS),
        DOCS / "results.md": results_page(),
        DOCS / "model_card.md": model_card(read_result("default_weights")),
        DOCS / "reliability.md": reliability_page(read_result("fuzz"), read_result("many_scans")),
    }


def main() -> None:
    """Write the pages and the curves."""
    draw_curves(read_rows(STUDY))
    for file, page in pages().items():
        write_text(file, page)
        print(file)


if __name__ == "__main__":
    main()
