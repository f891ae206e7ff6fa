"""What MkDocs generates: the configuration's keys, and a page of the API for each room."""

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

KEYS = "<!-- keys of the configuration -->"


def on_config(config: Any) -> Any:
    """List a page of the API for each room, in the order in which data pass through them."""
    sys.path.insert(0, str(ROOT))  # the library of this checkout, installed or not
    api = next(entry["API"] for entry in config.nav if "API" in entry)
    api += [{room: f"api/{room}.md"} for room in rooms()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add these pages: mkdocstrings reads the docstrings when it meets `:::`."""
    for room in rooms():
        page = f"# {room}\n\n::: ffensembles.{room}\n"
        files.append(File.generated(config, f"api/{room}.md", content=page))
    links = "\n".join(f"- [{room}]({room}.md)" for room in rooms())
    index = (
        "# API\n\nFrom a notebook, start with the public names:\n\n"
        "::: ffensembles\n    options:\n      show_submodules: false\n\n"
        f"The rooms of the library, in the order of the data:\n\n{links}\n"
    )
    files.append(File.generated(config, "api/index.md", content=index))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Write every key of the configuration where a page asks for them."""
    return markdown.replace(KEYS, keys_table()) if KEYS in markdown else markdown


def rooms() -> list[str]:
    """Return the names of the library's rooms, from the table of docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    cells = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    found = [row[3].strip(" `/") for row in cells if len(row) > 4]
    return [room for room in found if (ROOT / "ffensembles" / room / "__init__.py").exists()]


def keys_table() -> str:
    """Return every key, what it is for and what is allowed, as a table."""
    from ffensembles.config.describe import keys

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("<", "&lt;")

    rows = [f"| `{key}` | {cell(what)} | {cell(allowed)} |" for key, what, allowed in keys()]
    return "\n".join(["| key | meaning | allowed |", "|---|---|---|", *rows])
