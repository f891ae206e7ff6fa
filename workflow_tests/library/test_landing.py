"""The report's first page and what its list of results says; tables as pages of HTML."""

from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from docutils.core import publish_parts
from hypothesis import given
from hypothesis import strategies as st
from workplace import ROOT

from ffensembles.analyses.tidy import write_frame
from ffensembles.config import load_config
from ffensembles.runtime.text import html_table
from ffensembles.study import Study
from ffensembles.study.landing import landing


@pytest.fixture
def study(tmp_path: Path) -> Study:
    overlay = {"results": str(tmp_path), "datasets": ["digits"], "held_out": [], "own_seeds": []}
    overlay |= {"protocols": ["sigmoid-linf"], "seeds": [0, 1], "images": {"train_images": 300}}
    return Study.of(load_config(ROOT / "config.yaml", overlay))


def test_the_first_page_says_what_was_run_and_the_main_numbers(study: Study):
    rows = [
        {**run.keys, "layer": 0, "accuracy": 0.5 + run.seed / 10, "n_train": 300, "dead": False}
        for run in study.grid.runs
    ]
    write_frame(pd.DataFrame(rows), study.paths.one("tidy", file="accuracy.csv"))
    text = landing(study, "The study *a*.")
    page = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["html_body"]
    assert "What was run" in page
    assert "FF 2 runs, BP/FF 2 runs, BP 2 runs" in page
    assert "0.550 ± 0.0500 (2)" in page
    assert "only 300 training images were used" in page
    assert page.count("<tr>") == 1 + 3 * 2  # this study's row and the published one of each model


@pytest.mark.parametrize(
    ("edition", "part", "shows"),
    [
        ("2023", "table1", "Accuracy on test images"),
        ("2023", "figure3", "Units that ensembles share: FF, layer 1, Method 1, quantile 0.9"),
        ("2025", "table3", "Sizes of ensembles: LOO"),
    ],
)
def test_labels_say_what_an_item_shows(edition: str, part: str, shows: str):
    study = Study.of(load_config(ROOT / "config.yaml"))
    assert study.editions.shows(edition, part) == shows


class Cells(HTMLParser):
    """Collects the text of each cell."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.within = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.within = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.within = self.within and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.within:
            self.rows[-1][-1] += data


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)


@given(
    st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(texts, min_size=n, max_size=n), min_size=1)
    )
)
def test_a_table_reads_back_from_its_page(rows: list[list[str]]):
    assert Cells(html_table("Title", rows, "note <b>")).rows == rows
