"""Requests to stop."""

import os
import signal
import threading
import time

import pytest

from banach.session.signals import STOPPING, Stop


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_a_request(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(number)
    with Stop() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert stop.reason == ("Ctrl-C" if number == signal.SIGINT else number.name)
    assert signal.getsignal(number) == before
    assert ("Ctrl-C again stops at once" in capfd.readouterr().err) == (number == signal.SIGINT)


def test_the_signals_of_terminals_and_job_systems() -> None:
    names = {one.name for one in map(signal.Signals, STOPPING)}
    assert names == {"SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"}


def test_under_nohup_a_terminal_that_closes_ends_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_raises() -> None:
    with Stop():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_after_another_signal_is_a_first_one() -> None:
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.reason == "SIGTERM"


def test_minutes() -> None:
    with Stop(minutes=0.001) as stop:
        assert not stop()
        time.sleep(0.07)
        assert stop()
        assert stop.reason == "0.001 minutes are over"
    with Stop(minutes=0) as stop:
        assert not stop()


def test_in_another_thread_signals_are_left_alone() -> None:
    found: list[bool] = []

    def body() -> None:
        with Stop() as stop:
            found.append(stop())

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert found == [False]
    assert signal.getsignal(signal.SIGTERM) == before
