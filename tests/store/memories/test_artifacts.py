"""The files made of the memories alone."""

from __future__ import annotations

import pytest
from building import thread_id
from hypothesis import given
from hypothesis import strategies as st

from store.memories.artifacts import is_old_folder, is_summary, render, stale
from store.memories.models import ThreadMemory

NEWER, OLDER = thread_id(2), thread_id(1)


def memory(
    thread: str = NEWER, trace: str = "It went well.", words: str = "- be brief", **more: str
) -> ThreadMemory:
    return ThreadMemory(
        thread_id=thread,
        trace_summary=trace,
        memory_summary=words,
        updated_at=1_795_000_000,
        source_updated_at=1_794_900_000,
        **more,
    )


def test_byte_for_byte_in_the_form_of_codexs_own() -> None:
    files = render(
        [
            memory(cwd="/home/dev/app", rollout_path="sessions/2026/11/17/rollout-a.jsonl"),
            memory(OLDER, trace="  padded\n\n", words="\n- second\n"),
        ]
    )
    assert files[f"rollout_summaries/{NEWER}.md"].decode() == (
        f"thread_id: {NEWER}\n"
        "updated_at: 2026-11-17T07:20:00+00:00\n"
        "cwd: /home/dev/app\n"
        "rollout_path: sessions/2026/11/17/rollout-a.jsonl\n"
        "\n"
        "It went well.\n"
    )
    assert files["raw_memories.md"].decode() == (
        "# Raw Memories\n"
        "\n"
        "Merged stage-1 raw memories (latest first):\n"
        "\n"
        f"## Thread `{NEWER}`\n"
        "updated_at: 2026-11-17T07:20:00+00:00\n"
        "cwd: /home/dev/app\n"
        "rollout_path: sessions/2026/11/17/rollout-a.jsonl\n"
        f"rollout_summary_file: {NEWER}.md\n"
        "\n"
        "- be brief\n"
        "\n"
        f"## Thread `{OLDER}`\n"
        "updated_at: 2026-11-17T07:20:00+00:00\n"
        f"rollout_summary_file: {OLDER}.md\n"
        "\n"
        "- second\n"
    )
    summaries = [f"rollout_summaries/{thread}.md" for thread in (OLDER, NEWER)]
    assert sorted(files) == ["raw_memories.md", *summaries]


def test_without_memories_there_is_only_the_word_for_none() -> None:
    assert render([]) == {"raw_memories.md": b"# Raw Memories\n\nNo raw memories yet.\n"}
    assert list(render([memory(trace=" ", words="\n")])) == ["raw_memories.md"]


@pytest.mark.parametrize("name", ["../../../etc/passwd", "a/b", "", ".", NEWER.upper() + "x", f"{NEWER}\n"])
def test_an_id_that_is_none_becomes_no_file_name(name: str) -> None:
    assert list(render([memory(name)])) == ["raw_memories.md"]
    assert name not in render([memory(name)])["raw_memories.md"].decode() or name in ("", ".")


def test_a_folders_name_cannot_add_lines() -> None:
    text = render([memory(cwd="/tmp/a\n## Thread `x`\u2028b")])["raw_memories.md"].decode()
    assert "cwd: /tmp/a\\x0a## Thread `x`\\x2028b\n" in text


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5))
def test_the_same_each_time_and_always_text(texts: list[tuple[str, str, str]]) -> None:
    memories = [
        memory(thread_id(number), trace, words, cwd=cwd) for number, (trace, words, cwd) in enumerate(texts)
    ]
    files = render(memories)
    assert files == render(list(memories))
    assert all(content.decode().endswith("\n") for content in files.values())


def test_only_summaries_of_ours_go_stale() -> None:
    made = render([memory()])
    there = [
        f"rollout_summaries/{NEWER}.md",
        f"rollout_summaries/{OLDER}.md",
        "rollout_summaries/2026-11-22T23-12-18-LIlL-fix_failing_add_test.md",
        f"rollout_summaries/notes/{OLDER}.md",
        f"{OLDER}.md",
        "MEMORY.md",
    ]
    assert stale(there, made) == [f"rollout_summaries/{OLDER}.md"]
    assert is_summary(there[0])


def test_old_folders_are_told_by_their_names() -> None:
    assert all(map(is_old_folder, ["raw_memories", "user", "0123456789abcdef", "a" * 64]))
    assert not any(map(is_old_folder, ["skills", "rollout_summaries", "deadbeef", "notes/user"]))
