"""The page benchmarks/README.md, from the result files of the speed benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.pages.markdown import rendered, table

SCRIPTS = (
    "edge_conv",
    "knn",
    "info_nce",
    "mlp_edge_conv",
    "backbone",
    "pretrain_step",
    "prepare",
    "predict",
)
CPU_ONLY = ("prepare",)  # nothing in it runs on a GPU


def time_of(value: float) -> str:
    """A time in seconds as text with three digits, in ms below one second."""
    return f"{value * 1e3:.3g} ms" if value < 0.9995 else f"{value:.3g} s" if value < 99.95 else f"{value:.0f} s"


def ranged(values: dict[str, float]) -> str:
    """A median of times with its range, as text."""
    if values["repeats"] == 1:
        return f"{time_of(values['median'])} (one run)"
    return f"{time_of(values['median'])} ({time_of(values['min'])} to {time_of(values['max'])})"


def limit_of(case: dict[str, Any], machine: dict[str, float]) -> float | None:
    """The least seconds that a case takes on a machine; None if the case states no limit."""
    best = max(case["bytes"] / machine["copy_bytes_per_s"], case["flop"] / machine["matmul_flop_per_s"])
    return best or None


def memory_of(way: dict[str, Any]) -> str:
    """Peak memory of a way as text, with that of the whole process in brackets if it was measured."""
    text = f"{way['peak_bytes'] / 1e6:.1f} MB"
    return f"{text} ({way['process_bytes'] / 1e6:.0f} MB)" if "process_bytes" in way else text


def ratio_of(name: str, case: dict[str, Any]) -> str:
    """The ratio of a way to the first way of its case; a dash if the first way was left out."""
    way = case["ways"][name]
    return f"{way['ratio']['median']:.2f}" if "ratio" in way else "1" if name == next(iter(case["ways"])) else "–"


def row_of(name: str, case: dict[str, Any], machine: dict[str, float], limited: bool) -> list[str]:
    """The table row of one way of a case. ``limited`` says that some case of the table states a limit.

    The row of a way that was left out says so, and has no further cells.
    """
    way = case["ways"][name]
    sizes = [f"{value:,}" if isinstance(value, int) else str(value) for value in case["sizes"].values()]
    if "left_out" in way:
        return [*sizes, name, way["left_out"]]
    seconds, best = way["seconds"], limit_of(case, machine)
    times = f"{seconds['median'] / best:.1f}" if best else "–"
    row = [*sizes, name, ranged(seconds), ratio_of(name, case), memory_of(way)]
    row += [time_of(best) if best else "–", times] if limited else []
    if "per" in case:
        row.append(f"{seconds['median'] / case['per'] * 1e9:.0f} ns")
    return row


def section_table(cases: list[dict[str, Any]], machine: dict[str, float]) -> str:
    """The table of all cases of one section."""
    limited = any(limit_of(case, machine) for case in cases)
    head = [*cases[0]["sizes"], "way", "time", "ratio", "peak memory", *(["limit", "× limit"] if limited else [])]
    head += ["per face"] if "per" in cases[0] else []
    rows = [row_of(name, case, machine, limited) for case in cases for name in case["ways"]]
    return table(head, [row + [""] * (len(head) - len(row)) for row in rows])


def measured(file: Path) -> dict[str, Any] | None:
    """The content of a result file with its tables; None if the file does not exist."""
    if not file.exists():
        return None
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for part in content["sections"]:
        part["table"] = section_table(part["cases"], content["machine"])
    return content


def script_part(script: str, results: Path) -> dict[str, Any]:
    """The question of a script, and what it has measured on each device."""
    devices = {"CPU": measured(results / f"{script}.json"), "CUDA": measured(results / f"{script}-cuda.json")}
    if script in CPU_ONLY:
        del devices["CUDA"]
    question = next((content["question"] for content in devices.values() if content), "")
    return {"name": script, "question": question, "devices": devices}


def read(file: Path) -> dict[str, Any] | None:
    """The content of a result file; None if the file does not exist."""
    content: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return content


def threads_table(content: dict[str, Any]) -> str:
    """A table by load of the machine and setting of threads. Of two processes, it has the times of the slower one."""
    tasks = [name for name in content["rows"][0]["found"][0] if name != "threads"]
    rows = [
        [str(row["busy cores"]), str(row["processes"]), row["setting"],
         " and ".join(str(one["threads"]) for one in row["found"]),
         *(time_of(max(one[task] for one in row["found"])) for task in tasks)]
        for row in content["rows"]
    ]  # fmt: skip
    return table(["cores with other work", "processes", "threads are", "taken", *tasks], rows)


def same_result(row: dict[str, Any]) -> str:
    """Whether both revisions had the same result. Older result files compare only labels, not training steps."""
    same = row.get("same result", None if row["task"] == "training step" else row.get("same labels"))
    return "–" if same is None else "yes" if same else "no"


def beside_table(content: dict[str, Any]) -> str:
    """A table with a row for each way of waiting, task and file."""
    rows = [
        [*(row[name] for name in ("waiting threads", "task", "file")),
         *(time_of(row["seconds"][whose]) for whose in ("ours", "theirs")),
         "{median:.2f} ({min:.2f} to {max:.2f})".format(**row["ratio"]), same_result(row)]
        for row in content["rows"]
    ]  # fmt: skip
    return table(["waiting threads", "task", "file", "this revision", "the other", "ratio", "same result"], rows)


def cost_table(content: dict[str, Any]) -> str:
    """A table with a row for each count of operations."""
    rows = [[name, f"{value:.2f}"] for name, value in content["gflop"].items()]
    return table(["of one scan", "GFLOP"], rows)


def archive_table(content: dict[str, Any]) -> str:
    """A table with a row for each run. Older result files do not have the threads."""
    rows = [
        [str(row["workers"]), str(row.get("threads", "–")), str(row["scans"]),
         *(f"{row['per minute'][name]:.2f}" for name in ("running", "whole")), f"{row['load before']:.1f}"]
        for row in content["rows"]
    ]  # fmt: skip
    return table(["processes", "threads", "scans", "per minute, running", "per minute, whole", "load"], rows)


def install_table(content: dict[str, Any]) -> str:
    """A table with a row for each of the largest packages, and a row for all packages."""
    installed = content["installed"]
    rows = [[name, f"{size / 1e6:.0f} MB"] for name, size in installed["largest"].items()]
    return table(
        ["package", "installed"], [*rows, [f"all {installed['distributions']}", f"{installed['bytes'] / 1e6:.0f} MB"]]
    )


def speed_page(results: Path) -> str:
    """The whole page. It also says what was not measured yet."""
    names = ("threads", "beside", "archive", "cost", "install")
    threads, beside, archive, cost, install = (read(results / f"{name}.json") for name in names)
    return rendered(
        "speed",
        scripts=[script_part(script, results) for script in SCRIPTS],
        threads=threads and {**threads, "table": threads_table(threads)},
        beside=beside and {**beside, "table": beside_table(beside)},
        cost=cost and {**cost, "table": cost_table(cost)},
        archive=archive and {**archive, "table": archive_table(archive)},
        install=install and {**install, "table": install_table(install)},
    )
