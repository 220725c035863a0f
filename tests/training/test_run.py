from __future__ import annotations

import math
import os
import signal
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from toothgraph.errors import CheckpointError, ConfigError, DataError
from toothgraph.model.nets import SegmentationNet
from toothgraph.system.progress import Display
from toothgraph.training.callbacks import GentleStop, WeightAverage
from toothgraph.training.config import FinetuneConfig
from toothgraph.training.optimizer import make_optimizer, rate_factor
from toothgraph.training.run_folder import check_free, open_run, read_checkpoint, read_metrics, write_metrics
from toothgraph.training.task import check_finite, count_steps


def test_rate_factor():
    assert rate_factor("decay", 999, 10) == 1 and rate_factor("decay", 2500, 10) == pytest.approx(0.99**2)
    assert rate_factor("cosine", 0, 100) == 1 and rate_factor("cosine", 100, 100) == pytest.approx(0.01)
    rates = [rate_factor("warmup", step, 100) for step in range(101)]
    assert 0 < rates[0] < 0.1 and max(rates) == rates[10] == 1 and rates[-1] == pytest.approx(0)
    assert all(a < b for a, b in pairwise(rates[:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert all(math.isfinite(rate_factor("warmup", step, 1)) for step in (0, 1, 2))
    with pytest.raises(ConfigError, match="schedule"):
        rate_factor("never", 0, 1)


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_only_weights_decay(name, kind, small_net):
    net = SegmentationNet(small_net)
    optimizer = make_optimizer(net, FinetuneConfig(optimizer=name, weight_decay=0.5, backbone_rate=1.0))
    assert type(optimizer) is kind
    weights, others = optimizer.param_groups
    assert weights["weight_decay"] == 0.5 and others["weight_decay"] == 0
    assert len(weights["params"]) + len(others["params"]) == len(list(net.parameters()))
    assert all(p.dim() > 1 for p in weights["params"]) and all(p.dim() <= 1 for p in others["params"])


def test_a_backbone_may_learn_more_slowly(small_net):
    net = SegmentationNet(small_net)
    groups = make_optimizer(net, FinetuneConfig(lr=0.4, backbone_rate=0.25)).param_groups
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rate) == len(list(net.parameters()))
    assert {rate[id(p)] for p in net.backbone.parameters()} == {0.1}
    assert {rate[id(p)] for p in net.head.parameters()} == {0.4}


def test_weight_average_by_hand():
    net = torch.nn.BatchNorm1d(1)
    average = WeightAverage(net, decay=0.75)
    for value, count in ((4.0, 1), (8.0, 2), (0.0, 3)):
        net.weight.data.fill_(value)
        net.num_batches_tracked.fill_(count)
        average.on_train_batch_end(SimpleNamespace(accumulate_grad_batches=1), None, None, None, 0)
    expected = 0.75 * (0.75 * 4 + 0.25 * 8) + 0.25 * 0
    average.on_validation_start(None, None)
    assert net.weight.item() == expected and net.num_batches_tracked == 3
    average.on_validation_end(None, None)
    assert net.weight.item() == 0
    again = WeightAverage(net, decay=0.75)
    again.load_state_dict(average.state_dict())
    again.hand_over()
    assert net.weight.item() == expected


def test_count_steps():
    assert count_steps(FinetuneConfig(steps=7), 100) == 7
    assert count_steps(FinetuneConfig(epochs=3, batch=4), 10) == 8  # 30 scans, 4 at a time
    assert count_steps(FinetuneConfig(epochs=1, batch=4), 2) == 1


def test_check_finite():
    check_finite(torch.tensor(1.0), ["a"])
    with pytest.raises(DataError, match="became nan on the scans a, b"):
        check_finite(torch.tensor(float("nan")), ["a", "b"])


def test_first_signal_is_gentle_and_second_is_not():
    alone = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    stop = GentleStop(Display("training"))
    trainer = SimpleNamespace(
        should_stop=False, global_step=3, max_steps=9, val_check_batch=2, limit_val_batches=1.0,
        accumulate_grad_batches=1, strategy=alone,
    )  # fmt: skip
    before = signal.getsignal(signal.SIGINT)
    with stop.listening():
        stop.on_train_batch_end(trainer, None, None, None, 0)
        assert not trainer.should_stop
        os.kill(os.getpid(), signal.SIGINT)
        stop.on_train_batch_end(trainer, None, None, None, 0)
        assert trainer.should_stop and trainer.limit_val_batches == 0
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_signals_do_not_concern_a_loaders_worker():
    stop = GentleStop(Display("training"))
    stop._process += 1  # as if it had been forked
    stop._ask(signal.SIGINT, None)
    assert not stop.asked


def test_metrics_go_on_from_a_step(tmp_path):
    assert read_metrics(tmp_path, 5) == []
    write_metrics(tmp_path, ["step", "loss"], [{"step": 1, "loss": "0.5"}, {"step": 2}, {"step": 3, "loss": "0.1"}])
    assert read_metrics(tmp_path, 2) == [{"step": "1", "loss": "0.5"}, {"step": "2", "loss": ""}]


def test_open_run(tmp_path):
    out, config, facts = tmp_path / "run", FinetuneConfig(), {"command": "finetune", "train": ["a"]}
    check_free(out, False)
    assert open_run(out, config, False, facts) is None and (out / "config.json").exists()
    with pytest.raises(ConfigError, match="holds a run already"):
        open_run(out, config, False, facts)
    # Without a checkpoint there is nothing that other options would spoil.
    assert open_run(out, FinetuneConfig(lr=0.5), True, facts) is None
    torch.save({"global_step": 3}, out / "last.ckpt")
    assert open_run(out, FinetuneConfig(lr=0.5, workers=3, device="cpu"), True, facts) == out / "last.ckpt"
    with pytest.raises(ConfigError, match="started with: lr"):
        open_run(out, config, True, facts)
    with pytest.raises(ConfigError, match="started with: train"):
        open_run(out, FinetuneConfig(lr=0.5), True, {**facts, "train": ["b"]})
    os.replace(out / "last.ckpt", out / "previous.ckpt")  # as a kill between two renamings leaves them
    assert open_run(out, FinetuneConfig(lr=0.5), True, facts) == out / "previous.ckpt"
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(ConfigError, match="expected a folder"):
            check_free(path, False)


def test_checkpoints_hold_plain_things_only(tmp_path):
    torch.save({"global_step": 3, "net": SegmentationNet}, tmp_path / "a.ckpt")
    torch.save({"epoch": 3}, tmp_path / "b.ckpt")
    for name in ("a.ckpt", "b.ckpt", "missing.ckpt"):
        with pytest.raises(CheckpointError, match="not a whole checkpoint"):
            read_checkpoint(tmp_path / name)
