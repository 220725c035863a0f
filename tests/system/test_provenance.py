from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess

import pytest
import torch

import toothgraph
from toothgraph.system import provenance


def test_versions():
    found = provenance.versions()
    assert found["toothgraph"] == toothgraph.__version__
    assert found["python"] == platform.python_version()
    assert found["torch"].partition("+")[0] == torch.__version__.partition("+")[0]  # of PyPI's, one has no +cu130
    assert ("torch-scatter" in found) == (provenance.package_version("torch-scatter") is not None)
    assert provenance.package_version("no-such-package-anywhere") is None


def test_facts_go_into_json():
    facts = json.loads(json.dumps(provenance.facts()))
    assert facts.keys() == {"date", "versions", "hardware", "git"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", facts["date"])
    assert facts["hardware"]["threads"] == torch.get_num_threads()
    assert facts["hardware"]["cores"] >= 1 and facts["hardware"]["processor"]


def test_the_revision_is_that_of_the_start(monkeypatch):
    before = provenance.facts()["git"]
    monkeypatch.setattr(provenance, "git_revision", lambda: "committed-since")
    assert provenance.facts()["git"] == before


def test_sha256(tmp_path):
    content = bytes(range(256)) * 5000  # longer than what is read at once
    (tmp_path / "file").write_bytes(content)
    assert provenance.sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_no_revision_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "toothgraph" / "system" / "provenance.py"))
    assert provenance.git_revision() is None
    (tmp_path / ".git").mkdir()  # damaged
    assert provenance.git_revision() is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_revision_of_a_checkout(tmp_path, monkeypatch):
    def git(*args: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", "-C", tmp_path, *who, *args], check=True, capture_output=True, text=True).stdout

    git("init")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "toothgraph" / "system" / "provenance.py"))
    revision = provenance.git_revision()
    assert revision and git("rev-parse", "HEAD").startswith(revision)
    index = tmp_path / ".git" / "index"
    before = index.stat()
    os.utime(tmp_path / "file", (1, 1))  # which git would note down, with the index locked meanwhile
    assert provenance.git_revision() == revision
    assert index.stat().st_ino == before.st_ino
    (tmp_path / "file").write_text("2")
    assert provenance.git_revision() == f"{revision}-dirty"
