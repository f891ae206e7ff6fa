import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import save

from ffensembles.runs import Run
from ffensembles.runtime import provenance as module
from ffensembles.runtime.dependencies import library_files
from ffensembles.runtime.provenance import provenance
from ffensembles.study.code import files_of_run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path):
    """A function that writes a project's files and finds what modules of it rest on."""

    def rest_on(files, *modules, own=()):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return library_files(*modules, own=own, root=tmp_path)

    return rest_on


def test_a_module_rests_on_itself_and_its_package(project):
    files = {"a/__init__.py": "", "a/b.py": "import json", "a/other.py": ""}
    assert project(files, "a.b") == ["a/b.py"]


def test_imports_are_followed(project):
    files = {
        "a/__init__.py": "",
        "a/one.py": "import a.two",
        "a/two.py": "from a.three import name",
        "a/three.py": "from a.one import x\nname = 1",  # a circle ends
        "a/four.py": "",
    }
    assert project(files, "a.one") == ["a/one.py", "a/three.py", "a/two.py"]


def test_a_name_may_be_a_module(project):
    files = {
        "a/__init__.py": "",
        "a/one.py": "from a.sub import deep, VALUE",
        "a/sub/__init__.py": "from a import helper\nVALUE = 1",
        "a/sub/deep.py": "",
        "a/sub/unused.py": "",
        "a/helper.py": "",
    }
    assert project(files, "a.one") == [
        "a/helper.py",
        "a/one.py",
        "a/sub/__init__.py",
        "a/sub/deep.py",
    ]


def test_importing_a_module_runs_every_package_above_it(project):
    files = {
        "a/__init__.py": "",
        "a/c/__init__.py": "import b",
        "a/c/d.py": "",
        "b.py": "",
        "main.py": "import a.c.d",
    }
    assert project(files, "main") == [
        "a/c/__init__.py",
        "a/c/d.py",
        "b.py",
        "main.py",
    ]


def test_relative_imports(project):
    files = {
        "a/__init__.py": "",
        "a/sub/__init__.py": "from .inside import x",
        "a/sub/inside.py": "from . import beside\nfrom .. import above\nfrom ..far.away import y",
        "a/sub/beside.py": "",
        "a/above.py": "",
        "a/far/away.py": "",
        "a/far/not.py": "",
    }
    assert project(files, "a.sub") == [
        "a/above.py",
        "a/far/away.py",
        "a/sub/__init__.py",
        "a/sub/beside.py",
        "a/sub/inside.py",
    ]


def test_imports_count_wherever_they_stand(project):
    files = {
        "a/__init__.py": "",
        "a/one.py": (
            "def f():\n    from a import two\n"
            "class C:\n    def g(self):\n        import a.three\n"
            "try:\n    import a.four\nexcept ImportError:\n    import a.five\n"
        ),
        **{f"a/{name}.py": "" for name in ("two", "three", "four", "five", "six")},
    }
    assert project(files, "a.one") == [
        *(f"a/{name}.py" for name in ("five", "four", "one", "three", "two")),
    ]


def test_imports_for_type_checkers_do_not_count(project):
    files = {
        "a/__init__.py": "",
        "a/one.py": (
            "import typing\nfrom typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from a.two import T\nelse:\n    import a.three\n"
            "if typing.TYPE_CHECKING:\n    import a.two\n"
        ),
        "a/two.py": "",
        "a/three.py": "",
    }
    assert project(files, "a.one") == ["a/one.py", "a/three.py"]


def test_the_outermost_package_only_hands_on_names(project):
    files = {
        "a/__init__.py": "from a.public import name",
        "a/public.py": "",
        "a/one.py": "from a import name",
    }
    assert project(files, "a.one") == ["a/one.py"]


def test_a_package_that_loads_all_its_modules_depends_on_them(project):
    files = {
        "a/__init__.py": "",
        "a/sub/__init__.py": "import pkgutil",
        "a/sub/found.py": "from a import deeper",
        "a/deeper.py": "",
        "a/one.py": "import a.sub",
    }
    assert project(files, "a.one") == [
        "a/deeper.py",
        "a/one.py",
        "a/sub/__init__.py",
        "a/sub/found.py",
    ]


def test_a_module_found_by_its_package_does_not_depend_on_the_others(project):
    files = {
        "a/__init__.py": "",
        "a/sub/__init__.py": "import pkgutil",
        "a/sub/found.py": "",
        "a/sub/other.py": "",
        "a/one.py": "from a.sub.found import x",
    }
    assert project(files, "a.one") == ["a/one.py", "a/sub/__init__.py", "a/sub/found.py"]


def test_what_is_named_in_texts_and_imported_when_needed(project):
    files = {
        "a/__init__.py": "",
        "a/specs/__init__.py": "",
        "a/specs/one.py": "STEP = 'a.steps.one:run'",
        "a/steps/__init__.py": "",
        "a/steps/one.py": "",
        "a/steps/other.py": "",
        "a/registry.py": "import importlib, pkgutil\npackage = importlib.import_module('a.specs')",
    }
    assert project(files, "a.registry") == [
        "a/registry.py",
        "a/specs/__init__.py",
        "a/specs/one.py",
        "a/steps/__init__.py",
        "a/steps/one.py",
    ]


def test_training_depends_on_every_model():
    files = library_files("ffensembles.training.run")
    for name in ("ff", "bpff", "bp"):
        assert f"ffensembles/models/specs/{name}.py" in files
        assert f"ffensembles/engine/steps/{name}.py" in files
    assert not any("plotting" in file or "analyses" in file for file in files)


def test_of_what_a_registry_finds_only_a_jobs_own_counts(project):
    files = {
        "a/__init__.py": "",
        "a/specs/__init__.py": "",
        "a/specs/one.py": "STEP = 'a.steps.one:run'",
        "a/specs/other.py": "STEP = 'a.steps.other:run'",
        "a/steps/__init__.py": "",
        "a/steps/one.py": "",
        "a/steps/other.py": "",
        "a/registry.py": "import importlib, pkgutil\npackage = importlib.import_module('a.specs')",
        "a/named.py": "from a import registry\nfrom a.specs.other import STEP",
    }
    own = {"own": ["a.specs.one"]}
    found = project(files, "a.registry", **own)
    assert "a/specs/one.py" in found
    assert "a/steps/one.py" in found
    assert not any("other" in name for name in found)
    assert "a/steps/other.py" in project(files, "a.named", **own)  # imported by its name


def test_a_run_depends_on_its_own_data_set_and_model():
    files = files_of_run("mnist", "FF", "ffensembles.training.run")
    entries = {name for name in files if "/entries/" in name or "/specs/" in name}
    assert {name.rpartition("/")[2] for name in entries} == {"__init__.py", "mnist.py", "ff.py"}
    assert "ffensembles/datasets/idx.py" in files
    assert "ffensembles/engine/steps/ff.py" in files
    assert not {"ffensembles/datasets/svhn.py", "ffensembles/engine/steps/bp.py"} & {*files}
    scaled = files_of_run("svhn", "BP", "ffensembles.training.run")
    assert {"ffensembles/datasets/entries/mnist.py", "ffensembles/datasets/svhn.py"} <= {*scaled}
    every = library_files("ffensembles.training.run", "ffensembles.datasets.idx")
    assert {*files} < {*every}


def test_several_modules_at_once(project):
    files = {"one.py": "import three", "two.py": "", "three.py": "", "four.py": ""}
    assert project(files, "one", "two") == ["one.py", "three.py", "two.py"]


def test_a_module_that_is_not_there(project):
    with pytest.raises(ModuleNotFoundError, match=r"a\.typo"):
        project({"a/__init__.py": ""}, "a.typo")


def test_the_librarys_own_files():
    files = library_files("ffensembles.analyses.sizes")
    assert {"ffensembles/analyses/sizes.py", "ffensembles/ensembles/common.py"} <= set(files)
    assert all((ROOT / name).is_file() for name in files)
    # the workflow's own packages are no part of the science
    assert "ffensembles/study/grid.py" not in files


def test_nothing_that_was_imported_is_missing():
    """What Python says it loaded, against what was read from the source."""
    name = "ffensembles.analyses.regression"
    code = (
        f"import sys, {name}; "
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('ffensembles')))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {Path(name).resolve().relative_to(ROOT).as_posix() for name in said.stdout.split()}
    # registries load their modules, none of which depends on the others
    public = set(library_files("ffensembles", "ffensembles.analyses", "ffensembles.ensembles"))
    assert loaded <= set(library_files(name)) | public


def test_provenance_is_text_that_any_file_can_hold():
    found = provenance(run=Run("p", "digits", "FF", None, 0).keys, device="cpu", threads=2)
    assert json.loads(found["run"])["held_out"] is None
    assert (found["device"], found["threads"]) == ("cpu", "2")
    assert {"ffensembles", "git_commit", "git_changed", "python", "numpy", "torch"} <= set(found)
    save({}, metadata=found)


def test_the_same_run_has_the_same_provenance():
    assert provenance(device="cpu") == provenance(device="cpu")


def git(folder, *arguments):
    subprocess.run(
        ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    yield tmp_path
    module._commit.cache_clear()


def test_commit_and_changes(repository):
    commit, changed = module._commit(repository)
    assert len(commit) == 40
    assert changed == "false"
    module._commit.cache_clear()
    (repository / "file").write_text("two")
    assert module._commit(repository) == (commit, "true")


def test_untracked_files_are_no_change(repository):
    (repository / "result.csv").write_text("1")
    assert module._commit(repository)[1] == "false"


def test_a_package_installed_within_another_repository_is_not_of_its_commit(repository):
    (repository / "site-packages").mkdir()
    assert module._commit(repository / "site-packages") == ("unknown", "unknown")


def test_without_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert module._commit(repository) == ("unknown", "unknown")
