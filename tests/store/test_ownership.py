"""Owners and stale leases."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from store import ownership
from store.ownership import Owner, is_known_dead, lease_is_stale, parse_lstart, this_process

NOW = 1_800_000_000_000
LEASE = 900_000

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")


@pytest.fixture
def me() -> Owner:
    return this_process("me")


def stale(owner: Owner | None, until: int | None, me: Owner) -> bool:
    return lease_is_stale(owner, until, now_ms=NOW, lease_ms=LEASE, me=me)


def ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_this_process_is_one_owner_with_a_token_for_each_claim(me: Owner) -> None:
    first, second = this_process(), this_process()

    assert first.pid == os.getpid()
    assert first.token != second.token
    assert replace(first, token="me") == replace(second, token="me") == me


def test_a_fresh_lease_of_a_living_owner_holds(me: Owner) -> None:
    parent = replace(me, token="other")
    assert not stale(parent, NOW + 1, me)
    assert not stale(parent, NOW + LEASE, me)


def test_no_owner_or_no_end_is_no_lease(me: Owner) -> None:
    assert stale(None, NOW + 1, me)
    assert stale(me, None, me)


def test_a_lease_that_ran_out_is_stale_whoever_holds_it(me: Owner) -> None:
    assert stale(me, NOW, me)
    assert stale(replace(me, host="elsewhere"), NOW - 1, me)


def test_a_lease_from_before_the_clock_went_back_is_stale(me: Owner) -> None:
    assert stale(replace(me, host="elsewhere"), NOW + LEASE + 1, me)


def test_the_lease_of_an_ended_process_is_stale(me: Owner) -> None:
    assert stale(replace(me, pid=ended_pid()), NOW + 1, me)


@needs_proc
def test_a_process_that_ended_and_was_not_waited_for_is_dead(me: Owner) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert is_known_dead(replace(me, pid=process.pid, started_at=0), me)
    finally:
        process.wait()


@needs_proc
def test_a_pid_that_was_given_to_another_process_is_not_the_owner(me: Owner) -> None:
    assert me.started_at > 0
    assert stale(replace(me, started_at=me.started_at - 60_000), NOW + 1, me)


def test_an_unknown_start_is_never_a_proof(me: Owner) -> None:
    assert not is_known_dead(replace(me, started_at=0), me)


def test_a_machine_that_was_started_again_has_no_owners(me: Owner) -> None:
    me = replace(me, boot_id="after")
    assert stale(replace(me, boot_id="before"), NOW + 1, me)
    assert not stale(replace(me, boot_id=""), NOW + 1, me)


def test_another_hosts_processes_are_never_known_dead(me: Owner) -> None:
    far = Owner("elsewhere", "another boot", ended_pid(), 1, "far")
    assert not is_known_dead(far, me)
    assert not stale(far, NOW + 1, me)


def test_a_process_that_may_not_be_asked_lives(me: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    monkeypatch.setattr(ownership, "_started_at", lambda pid: 0)
    assert not is_known_dead(me, me)


def test_where_processes_cannot_be_asked_none_is_known_dead(
    me: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = replace(me, pid=ended_pid())
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(ownership, "_started_at", lambda pid: 0)
    assert not is_known_dead(dead, me)


def test_the_start_is_the_same_each_time_and_before_a_childs(me: Owner) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert ownership._started_at(os.getpid()) == me.started_at
        assert ownership._started_at(child.pid) >= me.started_at
        assert not is_known_dead(replace(me, pid=child.pid, started_at=ownership._started_at(child.pid)), me)
    finally:
        child.communicate()


def test_what_macos_prints_of_a_start_is_understood() -> None:
    assert parse_lstart("Sun Nov 22 23:03:05 2026    \n") == 1_795_388_585_000
    assert parse_lstart("Tue Mar  3 01:02:03 2026\n") == 1_772_499_723_000
    assert parse_lstart("") == 0
