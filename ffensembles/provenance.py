"""Where a result comes from: the versions that made it, and the code that it rests on."""

import ast
import json
import platform
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ffensembles import __version__
from ffensembles.recipe import Recipe

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("numpy", "xarray", "zarr", "torch")
_UNKNOWN = "unknown"


def provenance(
    *, recipe: Recipe | None = None, run: Mapping[str, Any] | None = None, **extra: Any
) -> dict[str, str]:
    """Return what one must know to make a result again, as texts that any file can hold.

    It has no date and no machine's name, so that the same run gives the same file.

    Parameters
    ----------
    recipe
        The mathematics of the run.
    run
        Its keys: protocol, dataset, model, held_out and seed.
    extra
        Anything else, `device` for one; texts stay as they are, all else becomes JSON.

    Returns
    -------
    dict
        Versions of ffensembles, Python and the packages that compute; the commit and whether
        tracked files differ from it (`true`, `false` or `unknown`); platform; recipe, run, its
        seed and `extra`.
    """
    commit, changed = _commit(_ROOT)
    known: dict[str, Any] = {
        "ffensembles": __version__,
        "git_commit": commit,
        "git_changed": changed,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
    }
    if recipe is not None:
        known["recipe"] = recipe.as_json()
    if run is not None:
        known["run"] = dict(run)
        known["seed"] = run["seed"]
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in {**known, **extra}.items()
    }


def library_files(*modules: str, root: str | Path = _ROOT) -> list[str]:
    """Return the project's own files that some of its modules rest on, themselves included.

    Imports are read from the source, wherever they stand in it, and followed; importing
    `a.b.c` runs `a` and `a.b` too. Imports for type checkers only are no part of it. Those in a
    package's own `__getattr__` are for who imports the package itself, or a name from it that
    it does not bind. A module named at run time (`importlib`) is not seen.

    Parameters
    ----------
    modules
        Dotted names, `ffensembles.training` for one.
    root
        Folder that holds their packages.

    Returns
    -------
    list of str
        Sorted paths, relative to `root`.

    Raises
    ------
    ModuleNotFoundError
        If there is no such module under `root`.
    """
    root = Path(root)
    found: set[tuple[str, bool]] = set()
    waiting: list[tuple[str, bool]] = []
    for module in modules:
        if _file(root, module) is None:
            raise ModuleNotFoundError(f"{module}: no such module under {root}.")
        waiting.append((module, False))
    while waiting:
        module, lazily = waiting.pop()
        file = _file(root, module)
        if file is None or (module, lazily) in found:
            continue
        found.add((module, lazily))
        parent = module.rpartition(".")[0]
        if parent:
            waiting.append((parent, False))
        for target, name in _imports(file, module, lazily):
            waiting.append((target, False))
            inner = _file(root, f"{target}.{name}") if name else None
            if inner is not None:
                waiting += [(f"{target}.{name}", False), (f"{target}.{name}", True)]
            elif name is None or not _binds(root, target, name):
                waiting.append((target, True))
    files = {_file(root, module) for module, _ in found}
    return sorted(file.relative_to(root).as_posix() for file in files if file is not None)


def _file(root: Path, module: str) -> Path | None:
    """Return the file of a module or package; None if it is not of this project."""
    base = root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


def _imports(file: Path, module: str, lazily: bool) -> Iterator[tuple[str, str | None]]:
    """Yield what a file imports: modules, and the name taken from each, if one is.

    `lazily` yields what only its `__getattr__` imports, instead of all else.
    """
    at_once, on_demand = _parsed(file)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in on_demand if lazily else at_once:
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
            continue
        target = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            target = ".".join([*above, *([node.module] if node.module else [])])
        yield from ((target, alias.name) for alias in node.names)


def _binds(root: Path, module: str, name: str) -> bool:
    """Tell whether a module of the project has a name from the start; others are taken to."""
    file = _file(root, module)
    return file is None or name in _bound(file)


@cache
def _bound(file: Path) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names.update(
                leaf.id
                for leaf in ast.walk(node)
                if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)
            )
    return frozenset(names)


_Statements = tuple[list[ast.Import | ast.ImportFrom], list[ast.Import | ast.ImportFrom]]


@cache
def _parsed(file: Path) -> _Statements:
    """Return a file's import statements: those of the module, and those of its `__getattr__`."""
    body = ast.parse(file.read_text(encoding="utf-8"), filename=str(file)).body
    is_lazy = [isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in body]
    at_once, on_demand = (
        [
            statement
            for node, lazy in zip(body, is_lazy, strict=True)
            if lazy == wanted
            for statement in _statements(node)
        ]
        for wanted in (False, True)
    )
    return at_once, on_demand


def _statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
        return
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = list(node.orelse)
    for child in children:
        yield from _statements(child)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def _commit(folder: Path) -> tuple[str, str]:
    """Return a checkout's commit and whether tracked files differ from it.

    An installed package that lies within someone else's checkout is not of that commit.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.resolve():
        return _UNKNOWN, _UNKNOWN
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    changed = _UNKNOWN if status is None else "true" if status else "false"
    return commit or _UNKNOWN, changed


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says; None if it is not there or does not know."""
    try:
        said = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()
