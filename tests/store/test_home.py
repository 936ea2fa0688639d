"""Which home, which databases, which folder of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.errors import HomeError, StateFolderError
from store.home import CodexHome, find_home, state_folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "user" / ".codex"
    folder.mkdir(parents=True)
    return folder.resolve()


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home.parent), **more}


def test_the_option_beats_the_variable_and_the_variable_the_default(tmp_path: Path, home: Path) -> None:
    by_option, by_variable = tmp_path / "a", tmp_path / "b"
    by_option.mkdir()
    by_variable.mkdir()
    env = environment(home, CODEX_HOME=str(by_variable))

    assert find_home(by_option, env=env).path == by_option.resolve()
    assert find_home(None, env=env).path == by_variable.resolve()
    assert find_home(None, env=environment(home, CODEX_HOME="")).path == home


def test_a_tilde_is_the_users_home(home: Path) -> None:
    found = find_home(Path("~/.codex"), env=environment(home))

    assert found.path == home
    assert found.given == Path("~/.codex")


def test_a_symlinked_home_is_known_by_its_real_path(tmp_path: Path, home: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(home)

    found = find_home(link, env={})

    assert (found.path, found.given) == (home, link)
    assert found.sessions == home / "sessions"
    assert found.archived_sessions == home / "archived_sessions"


def test_a_missing_home_says_what_to_do(home: Path) -> None:
    home.rmdir()

    with pytest.raises(HomeError) as raised:
        find_home(None, env=environment(home))

    assert str(raised.value) == (
        "There is no Codex home at ~/.codex: there is no such folder. Codex has not run here yet? Then name "
        "another home with --codex-home, or look around with rollodex --demo."
    )


def test_a_missing_home_says_who_named_it(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="CODEX_HOME names it"):
        find_home(None, env={"CODEX_HOME": str(tmp_path / "gone")})
    with pytest.raises(HomeError, match="--codex-home names it"):
        find_home(tmp_path / "gone", env={})


def test_a_file_is_no_home(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(HomeError, match="is no Codex home: it is not a folder"):
        find_home(file, env={})


def test_a_loop_of_links_is_no_home(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)

    with pytest.raises(HomeError, match="cannot be read"):
        find_home(loop, env={})


def test_codexs_databases_are_where_the_first_to_speak_says(tmp_path: Path, home: Path) -> None:
    env = environment(home, CODEX_SQLITE_HOME=str(tmp_path / "variable"))
    config = home / "config.toml"
    config.write_text('model = "gpt-5"\nsqlite_home = "~/configured"\n')

    option = find_home(home, sqlite_home=tmp_path / "option", env=env)
    assert option.sqlite_path == tmp_path / "option"
    assert find_home(home, env=env).sqlite_path == home.parent / "configured"

    config.write_text('sqlite_home = "databases"\n')
    assert find_home(home, env=env).sqlite_path == home / "databases"

    config.write_text("sqlite_home = 3\n")
    assert find_home(home, env=env).sqlite_path == tmp_path / "variable"

    config.unlink()
    assert find_home(home, env=env).sqlite_path == tmp_path / "variable"
    assert find_home(home, env=environment(home)).sqlite_path == home


def test_the_folder_sqlite_counts_when_only_it_holds_databases(home: Path) -> None:
    inner = home / "sqlite"
    inner.mkdir()
    (inner / "notes.sqlite").touch()
    assert find_home(home, env={}).sqlite_path == home

    (inner / "state_5.sqlite").touch()
    assert find_home(home, env={}).sqlite_path == inner

    (home / "logs_2.sqlite").touch()
    assert find_home(home, env={}).sqlite_path == home


@pytest.mark.parametrize("config", [b"sqlite_home = ", b'sqlite_home = "\xff"', b"[a]\n[a]\n"])
def test_a_broken_config_is_said_and_ignored(home: Path, config: bytes) -> None:
    (home / "config.toml").write_bytes(config)

    found = find_home(home, env={})

    assert found.sqlite_path == home
    (notice,) = found.notices
    assert (notice.severity, notice.what) == ("warning", f"{home / 'config.toml'} cannot be read")
    assert notice.why


def test_a_whole_config_says_nothing(home: Path) -> None:
    (home / "config.toml").write_text('model = "gpt-5"\n')
    assert find_home(home, env={}).notices == ()


def test_the_state_folder_is_where_the_first_to_speak_says(tmp_path: Path, home: Path) -> None:
    found = find_home(home, env={})
    env = environment(home, ROLLODEX_STATE_DIR="~/mine", XDG_STATE_HOME=str(tmp_path / "xdg"))

    assert state_folder(found, tmp_path / "given", env) == (tmp_path / "given").resolve()
    assert state_folder(found, None, env) == home.parent / "mine"
    del env["ROLLODEX_STATE_DIR"]
    folder = state_folder(found, None, env)
    assert folder.parent == (tmp_path / "xdg" / "rollodex").resolve()
    assert not folder.exists()


def test_each_home_has_a_folder_of_its_own_whatever_it_is_called_by(tmp_path: Path, home: Path) -> None:
    other = tmp_path / "other" / ".codex"
    other.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(home)
    env = {"XDG_STATE_HOME": str(tmp_path / "xdg")}

    def folder(path: Path) -> Path:
        return state_folder(find_home(path, env={}), None, env)

    assert folder(home) == folder(link)
    assert folder(home) != folder(other)
    assert folder(home).name.startswith("codex-")


def test_a_relative_xdg_value_is_ignored(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative/state")
    monkeypatch.setenv("HOME", str(tmp_path))

    folder = state_folder(find_home(home, env={}), None)

    assert folder.is_relative_to(tmp_path)
    assert "relative" not in folder.parts


@pytest.mark.parametrize("inside", ["", "rollodex", "sessions/2026"])
def test_the_state_folder_is_never_in_the_codex_home(home: Path, inside: str) -> None:
    found = find_home(home, env={})

    with pytest.raises(StateFolderError, match="lies in the Codex home") as raised:
        state_folder(found, home / inside, {})

    assert "--state-dir" in raised.value.next_step


def test_a_link_into_the_codex_home_is_seen_through(tmp_path: Path, home: Path) -> None:
    link = tmp_path / "state"
    link.symlink_to(home)

    with pytest.raises(StateFolderError):
        state_folder(find_home(home, env={}), link, {})


def test_the_state_folder_is_never_the_folder_of_codexs_databases(tmp_path: Path, home: Path) -> None:
    found = CodexHome(home, home, tmp_path / "databases")

    with pytest.raises(StateFolderError, match="Codex keeps its databases"):
        state_folder(found, tmp_path / "databases", {})
    assert state_folder(found, tmp_path / "databases" / "ours", {}).name == "ours"
