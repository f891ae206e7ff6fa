"""Pages that MkDocs generates: the configuration's keys, notebooks, kept figures, the API."""

import os
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

NOTEBOOKS = ROOT / "docs/notebooks"
DEMO = ROOT / "results/demo"
FIGURES = ROOT / "results/reference/figures"

KEYS = "<!-- keys of the configuration -->"


def on_config(config: Any) -> Any:
    """List a page of figures for each edition, and one of the API for each package, in order."""
    sys.path.insert(0, str(ROOT))  # the library of this checkout, installed or not
    api = next(entry["API"] for entry in config.nav if "API" in entry)
    api += [{package: f"api/{package}.md"} for package in packages()]
    figures = next(entry["Figures"] for entry in config.nav if "Figures" in entry)
    figures += [{f"Edition {name}": f"figures/{name}.md"} for name in editions()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add these pages: mkdocstrings reads the docstrings when it meets `:::`."""
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        for name, content in notebook_page(notebook).items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    for edition in editions():
        for name, content in figures_page(edition).items():
            files.append(File.generated(config, f"figures/{name}", content=content))
    for package in packages():
        page = f"# {package}\n\n::: ffensembles.{package}\n"
        files.append(File.generated(config, f"api/{package}.md", content=page))
    links = "\n".join(f"- [{package}]({package}.md)" for package in packages())
    index = (
        "# API\n\nFrom a notebook, start with the public names:\n\n"
        "::: ffensembles\n    options:\n      show_submodules: false\n\n"
        f"The packages of the library, in the order of the data:\n\n{links}\n"
    )
    files.append(File.generated(config, "api/index.md", content=index))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Write every key of the configuration where a page asks for them."""
    return markdown.replace(KEYS, keys_table()) if KEYS in markdown else markdown


def notebook_page(path: Path) -> dict[str, str | bytes]:
    """Return the page of a notebook and its pictures, by their names.

    Notebooks are kept without outputs. They are executed here where the demo's results are.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import MarkdownExporter

    notebook = nbformat.read(path, as_version=4)
    done = (DEMO / "report.html").exists()
    if done:
        os.environ["PYTHONPATH"] = str(ROOT)  # this checkout's library, in the notebook's process
        place = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=600, resources=place).execute()
    names = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    page, resources = MarkdownExporter().from_notebook_node(notebook, names)
    head, _, text = page.partition("\n\n")
    missing = "" if done else " Outputs are shown where the demo was run before the site was built."
    opening = f"{head}\n\n*[Download this notebook]({path.name}).*{missing}\n\n{text}"
    return {f"{path.stem}.md": opening, **resources["outputs"]}


def editions() -> list[str]:
    """Return the editions of which figures are kept."""
    return sorted(folder.name for folder in FIGURES.iterdir() if folder.is_dir())


def figures_page(edition: str) -> dict[str, str | bytes]:
    """Return the page of an edition's kept figures with their captions, and the pictures.

    The study's figures come first; one that is drawn for another data set too has its name.
    """
    from ffensembles.datasets import DATASETS

    pictures = sorted(
        (FIGURES / edition).glob("*.png"),
        key=lambda path: (not path.stem.startswith("figure"), path.stem),
    )
    parts = [f"# Figures of edition {edition}"]
    for picture in pictures:
        caption = picture.with_suffix(".rst").read_text(encoding="utf-8")
        title = caption.split("**")[1].rstrip(".")
        _, _, dataset = picture.stem.partition("-")
        heading = f"{title}: {DATASETS[dataset].title}" if dataset else title
        parts += [f"## {heading}", f"![{heading}]({edition}/{picture.name})", caption]
    contents = {f"{edition}/{picture.name}": picture.read_bytes() for picture in pictures}
    return {f"{edition}.md": "\n\n".join(parts) + "\n", **contents}


def packages() -> list[str]:
    """Return the names of the library's packages, from the table of docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    cells = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    found = [row[3].strip(" `/") for row in cells if len(row) > 4]
    library = ROOT / "ffensembles"
    return [package for package in found if (library / package / "__init__.py").exists()]


def keys_table() -> str:
    """Return every key, what it is for and what is allowed, as a table."""
    from ffensembles.config.describe import keys

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("<", "&lt;")

    rows = [f"| `{key}` | {cell(what)} | {cell(allowed)} |" for key, what, allowed in keys()]
    return "\n".join(["| key | meaning | allowed |", "|---|---|---|", *rows])
