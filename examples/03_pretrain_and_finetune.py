"""Pre-train, fine-tune, predict and score from Python, on scans that never were files."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from toothgraph import GraphSpec, load_segmentation, predict_mesh, synthetic_arch
from toothgraph.data import Split, prepare_scan
from toothgraph.metrics import segmentation_scores
from toothgraph.model import NetConfig
from toothgraph.training.config import FinetuneConfig, PretrainConfig
from toothgraph.training.finetune import finetune
from toothgraph.training.pretrain import pretrain

# A small net on small graphs. Leave this out for the default net.
NET = NetConfig(graph=GraphSpec(faces=1500), widths=(32, 48, 64, 64), head_widths=(32, 48, 64, 64))
PATIENTS = 6


def main(pretrain_steps: int = 20, finetune_steps: int = 60, patients: int = PATIENTS) -> dict[str, float | None]:
    # 1. Meshes. The patient is the scan's name without the jaw: 3_upper and 3_lower are patient 3.
    meshes = []
    for patient in range(patients):
        for jaw, name in enumerate(("upper", "lower")):
            mesh = synthetic_arch([patient, jaw], jaw=jaw, faces=4000)
            meshes.append(replace(mesh, scan_id=f"{patient}_{name}"))
    ids = [str(patient) for patient in range(patients)]
    split = Split(train=tuple(ids[:-1]), val=(ids[-1],), fractions={})

    # 2. Graphs, two tessellations of each scan.
    scans = [prepare_scan(mesh, NET.graph, variants=2, seed=0) for mesh in meshes]
    print(f"{len(scans)} scans, {scans[0].variants[0].num_nodes} nodes in the first")

    with tempfile.TemporaryDirectory() as folder:
        # 3. Pre-train without labels, fine-tune with the labels of half of the training patients.
        pre, fine = Path(folder) / "pre", Path(folder) / "fine"
        pretrain(scans, split, pre, PretrainConfig(net=NET, steps=pretrain_steps))
        config = FinetuneConfig(net=NET, steps=finetune_steps, label_fraction=0.5)
        finetune(scans, split, fine, config, init=pre)

        # 4. Predict the faces of a mesh that was in neither.
        net, file = load_segmentation(fine)
    print(f"trained {file.header['steps']} steps on {', '.join(file.header['train'])}")
    mesh = meshes[-1]
    prediction = predict_mesh(net, mesh, jaw=mesh.jaw)
    assert mesh.labels is not None
    scores = segmentation_scores(mesh, mesh.labels, prediction.labels, mesh.jaw)
    print(f"{mesh.scan_id}, {len(mesh.faces)} faces: teeth {sorted({int(n) for n in prediction.labels if n > 0})}")
    for key, value in scores.items():
        print(f"{key:<13} {value:.3f}" if value is not None else f"{key:<13} none")
    return scores


if __name__ == "__main__":
    main()
