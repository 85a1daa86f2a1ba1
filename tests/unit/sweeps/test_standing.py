"""How far a run is, as its files have it."""

import json
import os

import pytest

from banach.runs import lock
from banach.runs.lock import Lock
from banach.sweeps.standing import (
    DONE,
    FAILED,
    RUNNING,
    STATES,
    STOPPED,
    WAITING,
    at_rest,
    claimed,
    counted,
    forget_failure,
    is_open,
    note_end,
    standing,
    standings,
    watched,
)

DEAD = 2**22 + 1


def test_the_states(sweep, saved, lock_of):
    _, stopped, failed, running, done = sweep.runs
    saved(stopped, 5)
    note_end(failed, 3, "loss_critic is not finite at step 7")
    saved(running, 10)
    lock_of(running.folder.lock)
    saved(done, 20)
    found = [one for _, one in standings(sweep)]
    assert [one.state for one in found] == [WAITING, STOPPED, FAILED, RUNNING, DONE]
    assert [one.step for one in found] == [0, 5, 0, 10, 20]
    assert (found[2].message, found[2].code) == ("loss_critic is not finite at step 7", 3)
    assert found[3].message.startswith(f"process {os.getppid()} on ")
    assert counted(found) == "1 done, 1 running, 1 stopped, 1 failed, 1 waiting"
    assert [is_open(one, False) for one in found] == [True, True, False, False, False]
    assert [is_open(one, True) for one in found] == [True, True, True, False, False]
    assert {one.state for one in found} == STATES.keys()


def test_done_stays_done(sweep, saved, lock_of):
    run = sweep.run(0)
    note_end(run, 0, "finished")  # its checkpoints may have been deleted since
    lock_of(run.folder.lock)
    assert standing(run).state == DONE
    other = sweep.run(1)
    saved(other, 20)
    note_end(other, 2, "the disk was full at the very end")
    assert at_rest(other).state == DONE
    lock_of(other.folder.lock)  # its last scores are being written
    assert standing(other).state == RUNNING


def test_a_lock_left_behind_makes_it_stopped(sweep, saved, lock_of):
    run = sweep.run(0)
    saved(run, 5)
    lock_of(run.folder.lock, pid=DEAD)
    assert standing(run).state == STOPPED
    lock_of(run.folder.lock, host="elsewhere", age=lock.STALE + 1)
    assert standing(run).state == STOPPED
    lock_of(run.folder.lock, host="elsewhere", age=lock.STALE - 10)
    assert (standing(run).state, at_rest(run).state) == (RUNNING, STOPPED)


def test_a_failure_is_forgotten_when_it_is_tried_again(sweep):
    run = sweep.run(0)
    note_end(run, 2, "x" * 5000)
    assert len(standing(run).message) == 2000
    forget_failure(run)
    assert standing(run).state == WAITING
    forget_failure(run)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"code": "0", "message": ""}', '{"code": 0, "message": 1}'])
def test_what_says_nothing_counts_for_nothing(sweep, content):
    sweep.run(0).ended.write_text(content)
    assert standing(sweep.run(0)).state == WAITING


def test_the_newest_scores_that_are_numbers(sweep):
    run = sweep.run(0)
    lines = [{"step": 5, "value": {"fid": 9.0}}, {"step": 10, "value": {"fid": 4.0, "kid": None, "is": float("nan")}}]
    run.folder.scores.write_text("".join(json.dumps(one) + "\n" for one in lines))
    assert standing(run).scores == {"fid": 4.0}
    run.folder.scores.write_text('{"step": 5, "value": 3}\n')
    assert standing(run).scores == {}


def test_one_alone_claims_a_run(sweep, lock_of):
    run = sweep.run(0)
    with claimed(run) as first:
        assert first
        assert standing(run).state == RUNNING
        with claimed(run) as second:
            assert not second
    assert not run.claim.exists()
    lock_of(run.folder.lock)
    with claimed(run) as other:
        assert not other
    lock_of(run.folder.lock, pid=DEAD)
    with claimed(run) as taken_over:
        assert taken_over


def test_of_two_that_claim_at_once_one_gets_it(sweep, monkeypatch):
    run = sweep.run(0)
    with Lock(run.claim), monkeypatch.context() as patch:
        looks = iter([False, False])  # free as it is looked at, and taken a moment later
        patch.setattr("banach.sweeps.standing.held", lambda path: next(looks))
        with claimed(run) as mine:
            assert not mine


def test_a_holder_elsewhere_is_watched_until_it_beats_or_is_stale(sweep, lock_of, monkeypatch):
    run, beats = sweep.run(0), []
    lock_of(run.folder.lock, host="elsewhere", age=50)
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: beats.append(seconds) or os.utime(run.folder.lock))
    assert watched(run).endswith("on elsewhere")
    assert len(beats) == 1
    lock_of(run.folder.lock, host="elsewhere", age=50)

    def older(seconds: float) -> None:
        beats.append(seconds)
        monkeypatch.setattr(lock, "STALE", 120.0 - 30 * len(beats))

    beats.clear()
    monkeypatch.setattr(lock.time, "sleep", older)
    assert watched(run) == ""
    assert len(beats) == 3
    lock_of(run.claim)
    assert watched(run).startswith(f"process {os.getppid()}")
