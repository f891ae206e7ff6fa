"""The notebooks of the documentation are kept without outputs, which change from run to run."""

import nbformat
import pytest
from workplace import ROOT

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_has_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells
    assert not [cell for cell in cells if cell.outputs or cell.execution_count]
    assert notebook.cells[0].source.startswith("# ")


def test_every_notebook_has_a_page():
    listed = (ROOT / "mkdocs.yml").read_text()
    assert NOTEBOOKS
    assert all(f"notebooks/{path.stem}.md" in listed for path in NOTEBOOKS)
