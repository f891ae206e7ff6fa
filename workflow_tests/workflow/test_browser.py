"""The report in a real browser: its first page, its tables and figures are there."""

import shutil
import subprocess
from pathlib import Path

import pytest
from workplace import Workplace

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")


def shown(page: Path, profile: Path, script: str = "") -> str:
    """Return the document that a headless browser has made of a page, after a script of ours."""
    assert BROWSER is not None
    opened = profile / "opened.html"
    profile.mkdir()
    start, _, end = page.read_text().rpartition("</body>")
    opened.write_text(f"{start}<script>{script}</script></body>{end}")
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    done = subprocess.run(
        [BROWSER, *words, "--virtual-time-budget=20000", "--dump-dom", opened.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_report_opens_with_what_was_run(finished: Workplace, tmp_path: Path):
    page = shown(finished.results / "report.html", tmp_path / "profile")
    for part in ("What was run", "FF 2 runs", "Main numbers", "What to be wary of", "Digits"):
        assert part in page


@pytest.mark.parametrize(
    ("category", "items"),
    [
        (
            "Tables, edition 2023",
            ["Accuracy on test images", "Sizes of ensembles: Method 1", "make_table"],
        ),
        (
            "Figures, edition 2023",
            ["Activation patterns: FF, layer 1", "Sizes of ensembles by", "draw_figure"],
        ),
    ],
)
def test_lists_say_what_each_item_shows(
    finished: Workplace, tmp_path: Path, category: str, items: list[str]
):
    script = f"setTimeout(() => app.showCategory('{category}'), 1000)"
    page = shown(finished.results / "report.html", tmp_path / "profile", script)
    for item in items:
        assert item in page


def test_a_table_is_read_in_the_browser(finished: Workplace, tmp_path: Path):
    table = finished.results / "tables/2023/table1.html"
    page = shown(table, tmp_path / "profile")
    assert page.count("<tr>") == 1 + 3 * 2
    assert "BP/FF" in page
