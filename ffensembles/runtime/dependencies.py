"""The library's files that a result depends on, read from the imports in the source."""

import ast
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

_LATER = re.compile(r"(\w+(?:\.\w+)+):\w+(?:\.\w+)*")
_DOTTED = re.compile(r"[a-z_]\w*(?:\.\w+)+")
_TEXT = re.compile(r"""(?<=["'])[a-zA-Z_]\w*(?:\.\w+)+(?::[\w.]+)?(?=["'])""")
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of a statement that hold statements; the first is what type checkers alone may read."""

ROOT = Path(__file__).resolve().parents[2]
"""Folder that holds this package."""


def library_files(*modules: str, own: Collection[str] = (), root: str | Path = ROOT) -> list[str]:
    """Return the project's own files that some of its modules import, themselves included.

    Imports are read from the source, wherever they stand in it, and followed. Importing `a.b.c`
    runs `a.b` too, so that package's file and its imports count. Not so the outermost package's:
    it only hands on public names, and no module of its own depends on them. Imports for type
    checkers alone do not count. Whoever imports from a package that loads all of its modules by
    `pkgutil`, as registries do, depends on all of them; one of these modules does not. A text
    `package.module:name`, as registries name code to import when it is needed, counts as an
    import of that module; and where a module uses `pkgutil`, the text `package.sub` as one of all
    modules of that package.

    Parameters
    ----------
    modules
        Dotted names, such as `ffensembles.training.run`.
    own
        Modules that a package finds by `pkgutil`. Where one of them is named, the package's others
        do not count: what is asked of the package is known.
    root
        Folder that holds the package.

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
    for module in modules:
        if _file(root, module) is None:
            raise ModuleNotFoundError(f"{module}: no such module under {root}.")
    found: dict[tuple[str, bool], Path] = {}
    waiting = [(module, True) for module in modules]
    while waiting:
        module, named = waiting.pop()
        file = _file(root, module)
        outermost = "." not in module and file is not None and file.name == "__init__.py"
        if file is None or (module, named) in found or (outermost and module not in modules):
            continue
        found[module, named] = file
        parents = [module.rsplit(".", depth)[0] for depth in range(1, module.count("."))]
        waiting += [(parent, False) for parent in parents]
        # what a package hands on does not make its modules depend on each other
        for other, discovered in _imported(file, module, named):
            if not discovered or other in own or not _beside(other, own):
                waiting.append((other, named))
    return sorted({file.relative_to(root).as_posix() for file in found.values()})


def _beside(module: str, others: Collection[str]) -> bool:
    """Say whether a module is in the package of one of the others."""
    return any(other.rpartition(".")[0] == module.rpartition(".")[0] for other in others)


@cache
def _file(root: Path, module: str) -> Path | None:
    """Return the file of a module or package; None if it is not of this project."""
    base = root.joinpath(*module.split("."))
    candidates = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((file for file in candidates if file.is_file()), None)


@cache
def _imported(file: Path, module: str, named: bool) -> tuple[tuple[str, bool], ...]:
    """Return the modules that a file imports; a name taken from one may itself be a module.

    `named` adds the modules that a package finds by `pkgutil`. Each stands beside whether it was
    found so.
    """
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    statements, texts = _read(file)
    found: list[str] = []
    discovered: list[str] = []
    for node in statements:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
            if named and file.name == "__init__.py" and "pkgutil" in found:
                discovered += [
                    f"{package}.{path.stem}"
                    for path in file.parent.glob("*.py")
                    if path.stem != "__init__"
                ]
        elif node.level == 0 and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    for text in texts:
        if later := _LATER.fullmatch(text):
            found.append(later[1])
        elif "pkgutil" in found and _DOTTED.fullmatch(text):  # the package that it looks through
            folder = _top(file, module).joinpath(*text.split("."))
            found.append(text)
            discovered += [f"{text}.{path.stem}" for path in folder.glob("[!_]*.py")]
    return (*((name, False) for name in found), *((name, True) for name in discovered))


@cache
def _read(file: Path) -> tuple[list[ast.Import | ast.ImportFrom], set[str]]:
    """Return a file's import statements, those for type checkers alone left out, and its texts.

    Every start of the workflow reads the whole library, hence a walk over statements alone: no
    expression holds an import. Texts that are shaped like modules are found in the source, so
    that one in a comment counts too.
    """
    source = file.read_text(encoding="utf-8")
    statements: list[ast.Import | ast.ImportFrom] = []
    waiting: list[ast.AST] = [ast.parse(source, filename=str(file))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            statements.append(node)
            continue
        checked = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for name in _BLOCKS[checked:]:
            waiting += getattr(node, name, ())
    return statements[::-1], set(_TEXT.findall(source))


def _top(file: Path, module: str) -> Path:
    """Return the folder that holds a module's outermost package."""
    return file.parents[module.count(".") + (file.name == "__init__.py")]
