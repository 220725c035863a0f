from __future__ import annotations

import os
import signal
from threading import Thread

import pytest

from toothgraph.system.signals import GRACE, Terminated, heeded, outlive_sigterm


def test_sigterm_stops_as_ctrl_c_does_and_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), heeded():
        os.kill(os.getpid(), signal.SIGTERM)
    assert issubclass(Terminated, KeyboardInterrupt) and signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_is_heeded_where_a_script_had_it_ignored():
    own = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), heeded():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, own)


def test_a_fork_ends_by_sigterm_as_it_would_alone():
    with heeded():
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 143


def test_a_loaders_worker_outlives_sigterm_for_a_while():
    before = signal.getsignal(signal.SIGTERM)
    try:
        outlive_sigterm()
        os.kill(os.getpid(), signal.SIGTERM)
        assert 0 < signal.alarm(0) <= GRACE  # then it ends by itself, lest somebody waits for it
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_leaves_signals_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with heeded():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
