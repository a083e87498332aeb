"""`setup`: the configuration of other programs is shown, written, and taken back to the letter."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from command import Done, World
from credential_callers import require

KINDS = {
    "git": ("git", "--url", "https://git.acme.dev"),
    "kubectl": ("kubectl", "--id-token"),
    "docker": ("docker", "--url", "registry.acme.dev:5000"),
    "bazel": ("bazel", "--url", "cache.acme.dev"),
}
FILES = {
    "git": (".gitconfig", '[user]\n\tname = Ada "the first"\n\n# mine'),
    "kubectl": (
        ".kube/config",
        "# mine\napiVersion: v1\nkind: Config\nusers:\n- {name: me, user: {token: canary}}\n",
    ),
    "docker": (".docker/config.json", '{ "auths": {"x": {}},\n"credHelpers": {"a": "b"} }'),
    "bazel": (".bazelrc", "build --jobs=2\n"),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def run(world: World, kind: str, *words: str, provider: str = "demo") -> Done:
    return world.run("setup", *KINDS[kind], "--provider", provider, *words)


def everything(place: Path) -> dict[str, tuple[bytes, int]]:
    """Every file under ``place`` with its permissions."""
    return {
        str(path.relative_to(place)): (path.read_bytes(), path.stat().st_mode)
        for path in place.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def home(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_CONFIG_GLOBAL", "KUBECONFIG", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return own_home


def existing(home: Path, kind: str) -> Path:
    """The file of a user who had one."""
    name, text = FILES[kind]
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o640)
    return path


@each_kind
def test_nothing_is_written_unless_asked(world: World, home: Path, kind: str) -> None:
    """What would be is shown on standard output."""
    before = everything(home)
    done = run(world, kind)
    assert (done.code, everything(home)) == (0, before)
    assert done.out
    assert "canary" not in done.out + done.err


@each_kind
@pytest.mark.parametrize("had", [False, True], ids=["no file", "a file"])
def test_what_is_written_is_taken_back_to_the_letter(
    world: World, home: Path, kind: str, had: bool
) -> None:
    """Bytes and permissions; a second time changes nothing, neither way."""
    if kind == "kubectl" and had:
        require("kubectl")
    if had:
        existing(home, kind)
    before = everything(home)

    assert run(world, kind, "--write").code == 0
    written = everything(home)
    assert written != before
    assert {name for name in before if name not in written} == set()
    assert all(written[name][1] == mode for name, (_, mode) in before.items())
    assert run(world, kind, "--write").code == 0
    assert everything(home) == written

    for _ in range(2):
        assert world.run("setup", kind, "--undo").code == 0
        assert everything(home) == before


@pytest.mark.parametrize("kind", ["git", "docker", "bazel"])
def test_two_setups_of_one_file_are_taken_back_one_by_one(
    world: World, home: Path, kind: str
) -> None:
    """Only the part of the one goes, whichever came first; edits of the user stay."""
    world.provide("other")
    path = existing(home, kind)
    before = path.read_bytes()
    assert run(world, kind, "--write").code == 0
    other = [*KINDS[kind][:-1], "https://other.acme.dev"]
    assert world.run("setup", *other, "--provider", "other", "--write").code == 0

    assert world.run("setup", kind, "--undo", "--provider", "other").code == 0
    assert b"other.acme.dev" not in path.read_bytes()
    assert b"acme.dev" in path.read_bytes()
    assert world.run("setup", kind, "--undo").code == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["git", "bazel"])
def test_what_the_user_wrote_since_stays(world: World, home: Path, kind: str) -> None:
    """Only our lines are taken out of a file that was edited."""
    path = existing(home, kind)
    before = path.read_text()
    assert run(world, kind, "--write").code == 0
    path.write_text(f"# first\n{path.read_text()}# last\n")
    assert world.run("setup", kind, "--undo").code == 0
    assert path.read_text() in {f"# first\n{before}# last\n", f"# first\n{before}\n# last\n"}


@pytest.mark.parametrize("kind", ["git", "bazel"])
@pytest.mark.parametrize("last", ["[user]\n\tname = X", "\tname = X \\", "\tname = X \\\n"])
def test_lines_never_join_their_neighbours(world: World, home: Path, kind: str, last: str) -> None:
    """Neither ours the last line of the file, nor that line those that were added since."""
    path = existing(home, kind)
    path.write_text(f"# 1\n{last}")
    assert run(world, kind, "--write").code == 0
    ends = "\n\n" if last.rstrip().endswith("\\") else "\n"
    kept = last.rstrip("\n") + ends
    written = path.read_text()
    assert written.startswith(f"# 1\n{kept}")
    path.write_text(f"{written}[core]\n")
    assert world.run("setup", kind, "--undo").code == 0
    assert path.read_text() == f"# 1\n{kept}[core]\n"


@pytest.mark.parametrize("kind", ["git", "bazel"])
def test_one_of_two_providers_is_taken_back_alone(world: World, home: Path, kind: str) -> None:
    """The one that was written first, in a file whose last line had no end."""
    world.provide("other")
    path = existing(home, kind)
    path.write_text("last")
    assert run(world, kind, "--write").code == 0
    first = path.read_text()
    other = [*KINDS[kind][:-1], "https://other.acme.dev"]
    assert world.run("setup", *other, "--provider", "other", "--write").code == 0
    second = path.read_text().removeprefix(first)
    assert world.run("setup", kind, "--undo", "--provider", "demo").code == 0
    assert path.read_text() == f"last\n{second}"
    assert world.run("setup", kind, "--undo").code == 0
    assert path.read_text() == "last"  # to the letter, whichever of the two went first


def test_git_reads_its_own_settings_as_before(world: World, home: Path) -> None:
    """`git config --list` has what it had, and ours; after the undo, what it had."""
    path = existing(home, "git")
    path.write_text('[user]\n\tname = "A; B" # c\n[alias]\n\tst = !git \\\n\t  status')

    def listed() -> list[str]:
        environ = {**world.environ, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "config", "--global", "--list"], env=environ, capture_output=True, text=True,
            check=True, cwd=home,
        )  # fmt: skip
        return done.stdout.splitlines()

    before = listed()
    assert run(world, "git", "--write").code == 0
    assert listed()[: len(before)] == before
    assert len(listed()) > len(before)
    assert world.run("setup", "git", "--undo").code == 0
    assert listed() == before


@pytest.mark.parametrize("kind", ["git", "bazel"])
def test_a_part_behind_a_comment_sign_is_left_alone(world: World, home: Path, kind: str) -> None:
    """Without its lines the sign would hide the line that follows."""
    assert run(world, kind, "--write").code == 0
    path = home / FILES[kind][0]
    edited = f"# {path.read_text()}build --jobs=2\n"
    path.write_text(edited)
    assert (world.run("setup", kind, "--undo").code, path.read_text()) == (1, edited)


def test_a_part_that_was_edited_is_left_alone(world: World, home: Path) -> None:
    """And named, so that a person takes it out."""
    assert run(world, "git", "--write").code == 0
    path = home / ".gitconfig"
    path.write_text(path.read_text().replace("helper =\n", "helper = other\n"))
    edited = path.read_text()
    done = world.run("setup", "git", "--undo")
    assert (done.code, path.read_text()) == (1, edited)
    assert str(path) in done.err


def test_git_reads_what_was_written(world: World, home: Path) -> None:
    """Also words that its file would take for something else; a link stays a link."""
    git = require("git")
    real = home / "dotfiles"
    real.write_text("")
    (home / ".gitconfig").symlink_to(real)
    done = run(world, "git", "--account", 'a "b" \\c; #d', "--write")
    assert done.code == 0
    assert (home / ".gitconfig").is_symlink()
    asked = subprocess.run(
        [git, "config", "--global", "--get-all", "credential.https://git.acme.dev.helper"],
        capture_output=True, text=True, check=True, env=world.environ,
    )  # fmt: skip
    first, helper = asked.stdout.splitlines()
    assert first == ""
    assert helper.startswith("!")
    assert "credential git" in helper
    assert """'--account=a "b" \\c; #d'""" in helper


def test_docker_gets_a_program_that_answers(world: World, home: Path) -> None:
    """It names the registry, so that no other gets the token."""
    assert run(world, "docker", "--write").code == 0
    config = json.loads((home / ".docker/config.json").read_text())
    name = config["credHelpers"]["registry.acme.dev:5000"]
    program = home / ".local/bin" / f"docker-credential-{name}"
    asked = subprocess.run(
        [program, "list"], capture_output=True, text=True, check=True, env=world.environ
    )
    assert json.loads(asked.stdout) == {"registry.acme.dev:5000": "oauth2"}


def test_kubectl_reads_what_was_written(world: World, home: Path) -> None:
    """With the user beside those that were there."""
    kubectl = require("kubectl")
    existing(home, "kubectl")
    assert run(world, "kubectl", "--write").code == 0
    shown = subprocess.run(
        [kubectl, "config", "view", "-o", "json"], capture_output=True, check=True,
        env=world.environ,
    ).stdout  # fmt: skip
    users = {one["name"]: one["user"] for one in json.loads(shown)["users"]}
    assert set(users) == {"me", "stayfast-demo"}
    plugin = users["stayfast-demo"]["exec"]
    assert plugin["args"][:2] == ["credential", "kubectl"]
    assert plugin["args"][-3:] == ["--provider", "demo", "--id-token"]
    assert plugin["interactiveMode"] == "Never"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("git", "--provider", "demo"), 1),
        (("docker", "--provider", "demo"), 1),
        (("git", "--provider", "demo", "--url", "http://git.acme.dev"), 1),
        (("git", "--provider", "demo", "--url", 'a"]\n[core]'), 1),
        (("git", "--provider", "demo", "--url", ""), 1),
        (("git", "--provider", "dmeo", "--url", "git.acme.dev"), 1),
        (("git", "--provider", "demo", "--url", "git.acme.dev", "--write", "--undo"), 1),
        (("svn",), 2),
        (("kubectl", "--provider", "demo", "--url", "k8s.acme.dev"), 1),
        (("git", "--provider", "demo", "--url", "git.acme.dev", "--id-token"), 1),
        (("git", "--provider", "demo", "--url", "git.acme.dev", "--bin-dir", "x", "--write"), 1),
        (("bazel", "--provider", "demo", "--url", "b.acme.dev", "--username", "x"), 1),
        (("git", "--undo", "--url", "git.acme.dev"), 1),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    world: World, home: Path, words: tuple[str, ...], code: int
) -> None:
    """No host, a host that is none, one that everybody could read on the way, an option without use."""
    before = everything(home)
    done = world.run("setup", *words)
    assert done.code == code
    assert everything(home) == before


def test_files_that_are_not_what_they_should_be_stay(world: World, home: Path) -> None:
    """A config.json that is no JSON is not replaced."""
    path = existing(home, "docker")
    for text in (
        *("{", "[]", '{"credHelpers": 7}', '{"a": 1, "a": 2}', '{"a": NaN}'),
        '{"a":' * 100_000,
    ):
        path.write_text(text)
        assert run(world, "docker", "--write").code == 1
        assert path.read_text() == text


@each_kind
def test_programs_learn_the_same(world: World, home: Path, kind: str) -> None:
    """With --json, and nothing else on standard output."""
    answer = run(world, kind, "--json").json
    assert (answer["schema"], answer["written"], answer["copy"]) == (
        "stayfast.setup/1",
        False,
        None,
    )
    answer = run(world, kind, "--write", "--json").json
    assert answer["written"]
    assert Path(answer["copy"]).exists()
    assert all(Path(one["path"]).exists() for one in answer["files"])
    undone = world.run("setup", kind, "--undo", "--json").json
    assert undone["schema"] == "stayfast.setup-undone/1"
    assert all(one["whole"] for one in undone["files"])


def test_what_docker_has_is_kept_to_the_letter(world: World, home: Path) -> None:
    """Numbers as they are written, and half a surrogate pair."""
    path = existing(home, "docker")
    members = '"a": [1e999, 1.0e2, -0, 12345678901234567890.10],\n\t"b": "\\ud800"'
    path.write_text(f"{{{members}}}")
    assert run(world, "docker", "--write").code == 0
    shown = path.read_text()
    for one in ("1e999", "1.0e2", "-0", "12345678901234567890.10", '"\\ud800"'):
        assert f"{one},\n" in shown or f"{one}\n" in shown


def test_docker_may_write_its_file_anew(world: World, home: Path) -> None:
    """In its own layout and with more in it; our helper and its program go."""
    path = existing(home, "docker")
    before = everything(home)
    assert run(world, "docker", "--write").code == 0
    members = json.loads(path.read_text())
    path.write_text(json.dumps({**members, "auths": {"x": {}, "y": {}}}, indent=2))
    assert world.run("setup", "docker", "--undo").code == 0
    assert json.loads(path.read_text()) == {
        "auths": {"x": {}, "y": {}},
        "credHelpers": {"a": "b"},
    }
    assert set(everything(home)) == set(before)


def test_a_damaged_copy_is_named(world: World, home: Path) -> None:
    """Nothing is changed, and nothing is lost."""
    copy = Path(run(world, "git", "--write", "--json").json["copy"])
    copy.write_bytes(copy.read_bytes()[:-40])
    before = everything(home)
    done = world.run("setup", "git", "--undo")
    assert (done.code, everything(home)) == (1, before)
    assert str(copy) in done.err


def test_a_file_of_another_sort_is_not_read(world: World, home: Path) -> None:
    """A pipe would never end."""
    os.mkfifo(home / ".gitconfig")
    assert run(world, "git").code == 1


def test_a_folder_that_docker_does_not_search_is_named(world: World, home: Path) -> None:
    """With the line that adds it; a folder of PATH is not."""
    folder = home / ".local" / "bin"
    path = os.environ["PATH"]
    told = run(world, "docker", "--write").err
    (line,) = [one.strip() for one in told.splitlines() if "export PATH=" in one]
    words = line.partition("export ")[2].split("     ")[0]
    program = next(folder.iterdir())
    shell = ["sh", "-c", f"export {words}; command -v {program.name}"]
    found = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(program)
    assert world.run("setup", "docker", "--undo").code == 0
    world.extra["PATH"] = f"{folder}:{path}"
    assert "PATH" not in run(world, "docker", "--write").err
