"""The recipes for distributions say what pyproject.toml says, and their own tools can read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import recipes
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BOUNDS = dict(line.split(">=") for line in PROJECT["dependencies"])
SCRIPTS = Path(sys.executable).parent
"""Where the tools are that come with the extra `dev`."""


def fetched(name: str, version: str, url: str) -> dict:
    """A package as the report of pip names it."""
    info = {"url": url, "archive_info": {"hashes": {"sha256": "1" * 64}}}
    return {"metadata": {"name": name, "version": version}, "download_info": info}


PYPI = "https://files.pythonhosted.org/packages/"
FETCHED = [
    fetched("stayfast", PROJECT["version"], "file:///dist/stayfast.whl"),
    fetched("segno", "1.6.6", f"{PYPI}d6/segno-1.6.6-py3-none-any.whl"),
    fetched("SecretStorage", "3.5.0", "file:///mirror/secretstorage-3.5.0-py3-none-any.whl"),
    fetched("cryptography", "46.0.0", f"{PYPI}c/cryptography-46.0.0-cp311-abi3-linux.whl"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """The recipes of a release."""
    place = tmp_path_factory.mktemp("recipes")
    recipes.write(place, "0" * 64, FETCHED)
    return place


def need(program: str) -> None:
    """Skip where a tool is missing, except where nothing may be skipped."""
    if shutil.which(program, path=f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}") is None:
        if os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail(f"{program} is missing")
        pytest.skip(f"no {program} here")


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a tool that must succeed."""
    ran = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=900
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return ran.stdout + ran.stderr


def test_a_filled_recipe_has_no_place_left(filled):
    """Every `@NAME@` has its value, and the version comes from pyproject.toml."""
    texts = {path: path.read_text(encoding="utf-8") for path in filled.rglob("*") if path.is_file()}

    assert {path.relative_to(filled).parts[0] for path in texts} == set(recipes.FOLDERS)
    assert [path for path, text in texts.items() if re.search(r"@[A-Z0-9]+@", text)] == []


def test_a_value_that_is_not_known_is_an_error():
    """A recipe with a misspelt name is not released with a hole in it."""
    with pytest.raises(KeyError):
        recipes.fill("version: @VERSON@", {"VERSION": "1"})


def test_conda_installs_what_pip_installs(filled):
    """rattler-build reads the recipe and renders it; bounds, hash and command are those of the project."""
    rattler = pytest.importorskip("rattler_build", reason="installed on Linux alone")
    recipe = rattler.Stage0Recipe.from_yaml(
        (filled / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    )
    oldest = PROJECT["requires-python"].removeprefix(">=")
    (rendered,) = recipe.render(rattler.VariantConfig({"python_min": [oldest]}))
    made = rendered.recipe.to_dict()

    run_needs = dict(line.split(" >=") for line in made["requirements"]["run"])
    assert run_needs == {"python": oldest, **BOUNDS}
    assert made["package"] == {"name": PROJECT["name"], "version": PROJECT["version"]}
    assert made["source"][0]["sha256"] == "0" * 64
    (command,) = made["build"]["python"]["entry_points"]
    assert command == "stayfast = " + PROJECT["scripts"]["stayfast"]
    assert made["about"]["license"] == PROJECT["license"]


def test_the_formula_is_ruby_and_fits_the_rules_of_homebrew(filled):
    """It parses, its description is short, and it brings each dependency once, with a hash."""
    need("ruby")
    path = filled / "homebrew" / "stayfast.rb"
    run("ruby", "-wc", str(path))
    text = path.read_text(encoding="utf-8")

    (about,) = re.findall(r'^  desc "(.+)"$', text, re.MULTILINE)
    assert len(about) <= 80
    assert not about.endswith(".")
    assert not about.lower().startswith(("a ", "an ", "the ", "stayfast"))
    assert re.findall(r'resource "(.+?)"', text) == ["secretstorage", "segno"]
    assert text.count("sha256") == 3
    assert re.search(r"on_linux do\n    resource \"secretstorage\"", text)
    assert f"{PYPI}py3/s/secretstorage/secretstorage-3.5.0-py3-none-any.whl" in text


def test_a_wheel_of_one_platform_is_no_resource():
    """A formula runs on every platform of Homebrew."""
    with pytest.raises(ValueError, match="ujson"):
        recipes.resources(
            [fetched("ujson", "5", f"{PYPI}u/ujson-5-cp311-cp311-manylinux_x86_64.whl")]
        )


def test_debian_builds_with_what_the_project_needs(filled):
    """Each dependency is there to build with, for its tests run then; bounds are those of the project."""
    control = (filled / "debian" / "control").read_text(encoding="utf-8")
    needs = dict(re.findall(r"python3-([a-z0-9-]+) \(>= ([\d.]+)\)", control))

    assert BOUNDS.items() <= needs.items()
    (bound,) = re.findall(r"setuptools>=(\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))[:1]
    assert needs["setuptools"] == bound
    rules = filled / "debian" / "rules"
    assert rules.stat().st_mode & 0o111
    for name in re.findall(r"\{dir\}/([\w/.]+)", rules.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), name


@pytest.fixture
def debian(filled, unpacked, sdist, tmp_path):
    """The unpacked sdist with its folder `debian`, beside the sdist under the name Debian gives it."""
    need("dpkg-buildpackage")
    need("lintian")
    source = tmp_path / unpacked.name
    shutil.copytree(unpacked, source)
    shutil.copytree(filled / "debian", source / "debian")
    shutil.copyfile(sdist, tmp_path / f"stayfast_{PROJECT['version']}.orig.tar.gz")
    return source


ON_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
MAY_STAY = {"initial-upload-closes-no-bugs"}  # the bug has a number once somebody uploads


def lint(changes: Path) -> set[str]:
    """The tags that lintian gives."""
    said = subprocess.run(
        ["lintian", "--pedantic", "--display-info", "--allow-root", str(changes)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return set(re.findall(r"^[EWIP]: [^:]+: ([a-z0-9-]+)", said.stdout, re.MULTILINE))


def test_the_source_package_of_debian_is_clean(debian, tmp_path):
    """dpkg-source takes it, and lintian has nothing to say, not even in pedantry."""
    run("dpkg-buildpackage", "-S", "-d", "-us", "-uc", cwd=debian, env={"PATH": ON_PATH})
    (changes,) = tmp_path.glob("*_source.changes")

    assert lint(changes) <= MAY_STAY


@pytest.mark.soak
def test_the_packages_of_debian_are_built_and_clean(debian, tmp_path):
    """With Debian's own Python, and libraries of this environment where Debian's are too old."""
    need("pybuild")
    libraries = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    if run("/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])").strip() != str(
        sys.version_info[:2]
    ):
        pytest.skip("the libraries of this environment are for another Python than Debian's")
    run(
        *("dpkg-buildpackage", "-b", "-d", "-us", "-uc"),
        cwd=debian,
        env={"PATH": ON_PATH, "PYTHONPATH": libraries, "HOME": str(tmp_path)},
    )
    (changes,) = tmp_path.glob("*.changes")
    (command,) = tmp_path.glob("stayfast_*_all.deb")
    (library,) = tmp_path.glob("python3-stayfast_*_all.deb")

    assert lint(changes) <= MAY_STAY
    assert "usr/share/man/man1/stayfast-login.1.gz" in run("dpkg", "-c", str(command))
    assert "dist-packages/stayfast/py.typed" in run("dpkg", "-c", str(library))


def test_the_container_is_built_as_its_linter_wants(filled):
    """Hadolint has nothing to say; the program does not run as root."""
    path = filled / "container" / "Containerfile"
    need("hadolint")
    run(str(SCRIPTS / "hadolint"), str(path))
    lines = path.read_text(encoding="utf-8").splitlines()

    last_user = [line for line in lines if line.startswith("USER ")][-1]
    assert last_user not in {"USER root", "USER 0"}
    assert f"COPY stayfast-{PROJECT['version']}-py3-none-any.whl" in "\n".join(lines)
    pins = (filled / "container" / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert pins == ["SecretStorage==3.5.0", "cryptography==46.0.0", "segno==1.6.6"]


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        ("github-workflows", sorted((ROOT / ".github" / "workflows").glob("*.yml"))),
        ("github-issue-forms", [path for path in FORMS if path.stem != "config"]),
        ("github-issue-config", [path for path in FORMS if path.stem == "config"]),
        ("dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_github_reads_fits_its_schemas(schema, paths):
    """Workflows, forms for issues, and the updates of actions."""
    assert paths
    run(str(SCRIPTS / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *map(str, paths))


def test_the_workflows_have_no_weakness_that_is_known():
    """Zizmor finds no injection, no needless right, no action that can be moved."""
    run(str(SCRIPTS / "zizmor"), "--offline", "--no-progress", str(ROOT / ".github"))


def test_a_form_asks_for_no_secret_and_says_so():
    """Whoever reports a fault confirms that no token is in it; weaknesses go elsewhere."""
    for name in ("bug", "provider"):
        form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
        boxes = [one for one in form["body"] if one["type"] == "checkboxes"]
        assert boxes[-1]["attributes"]["options"][0]["required"] is True
    config = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text())
    (security,) = config["contact_links"]
    assert security["url"] == PROJECT["urls"]["Security"]


def test_the_page_about_support_names_the_pythons_of_the_classifiers():
    """Each with the month in which its support ends."""
    page = (ROOT / "docs" / "support.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (3\.\d+) \| 20\d\d-\d\d \|$", page, re.MULTILINE)
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: 3." in line]

    assert told == named
