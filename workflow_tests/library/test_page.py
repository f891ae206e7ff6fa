"""The page that shows numbers and claims."""

import subprocess
import sys

import pandas as pd
from published_runs import accuracy_of, everything, sizes_of, sweep_of

from ffensembles.analyses.tidy import read_frame, whole_numbers, write_frame
from ffensembles.publication.claims import claims
from ffensembles.publication.comparison import compare
from ffensembles.publication.numbers import PUBLISHED
from ffensembles.publication.page import about, page

RECIPE = {"FF": {"epochs": 3}, "BPFF": {"epochs": 3}, "BP": {"epochs": 3}, "per_dataset": {}}


def test_the_page_holds_every_number_and_claim(tmp_path) -> None:
    frames = {**everything(), "accuracy": accuracy_of({"FF": [0.93, 0.95], "BP": [0.1]})}
    frames["sizes"] = pd.concat([frames["sizes"], sizes_of(3, 39.0, 39.4, model="BP")])
    sweep = sweep_of(base=[19.2], **{"FF.theta_0.4": [5.1]})
    comparison, tested = compare(frames, [sweep]), claims(frames)
    about = {"title": "A small one", "runs": "2 of each | model", "commit": "abc"}
    text = page(comparison, tested, about, {"mnist": "MNIST"}, sweeps=[sweep])
    assert text.startswith("# A small one\n")
    varied = "| Setting | Values | Models | Data sets | Training images | Seeds |\n"
    assert varied in text
    assert "\n| `FF.theta` | 0.4 | FF | MNIST | 6,000 | 0 |\n" in text
    assert "- commit: abc" in text
    for source in {one.source for one in PUBLISHED}:
        assert f"### {source}\n" in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    # claims, eight sources and the sweep's one setting, each with a head and a rule
    assert len(lines) == len(tested) + len(comparison) + 1 + 2 * (1 + 8 + 1)
    for line in tested.statement:
        assert line in text
    assert "Tables 1 to 3: 4 of 42 cells lie within the tolerance" in text
    assert "39.2 ± 0.20 (2) †" in text
    assert "39.8 ± 0.65 †" in text
    assert "0.940 ± 0.0100 (2)" in text
    assert "| size (units) | MNIST | BP | 3 |" in text
    for word in ("reproduced", "same direction", "not reproduced", "not run", "undecided"):
        assert f"**{word}**" in text
    assert (
        f"corrected for all {tested['p'].notna().sum()} tests of this table that have a p" in text
    )
    assert tested["p"].isna().any()
    assert "within 20 % of the published value; for fractions of one, within .03 of it." in text
    # frames that went through a file make the same page
    write_frame(comparison, tmp_path / "comparison.csv")
    write_frame(tested, tmp_path / "claims.csv")
    again = page(
        read_frame(tmp_path / "comparison.csv"), read_frame(tmp_path / "claims.csv"), about,
        {"mnist": "MNIST"}, sweeps=[sweep],
    )  # fmt: skip
    assert again == text
    # another edition's sweep is not this one's
    assert varied not in page(comparison, tested, about, sweeps=[sweep.assign(protocol="relu-l2")])


def test_a_claim_that_untrained_nets_meet_as_well_is_marked() -> None:
    sizes = sizes_of(1, 3.0, 3.1, 2.9)
    frames = {"sizes": pd.concat([sizes, sizes_of(1, 300.0, 310.0, model="BP")])}

    def said(null: float) -> str:
        nets = pd.concat([sizes_of(1, 2.0), sizes_of(1, 2 * null, model="BP")])
        untrained = nets.assign(protocol="sigmoid-linf--untrained")
        found = claims({**frames, "untrained_sizes": untrained})
        return page(compare(frames), found, {})

    assert "**holds** |" in said(10)
    assert "at least as true" not in said(10)
    assert "**holds** ‡ |" in said(1000)
    assert "- ‡ Of the claims that hold, 1 is at least as true of untrained nets." in said(1000)


def test_the_page_says_what_a_published_value_rests_on() -> None:
    text = page(compare({}, edition="2025"), claims({}, "2025"), {}, edition="2025")
    assert (
        "| sparsity | mnist | FF | 2 | 0.376 (0.366 to 0.385 in 2 runs; setting inferred) |" in text
    )
    assert "| accuracy | mnist | BP/FF | — | at most 0.970 (setting inferred) |" in text
    assert "| sparsity | fashionmnist | FF | 2 | 0.580 |" in text


def test_the_page_says_which_runs_are_missing() -> None:
    runs = accuracy_of({"FF": [0.9, 0.9], "BP": [0.8] * 5})
    apart = accuracy_of({"FF": [0.7]}, "fashionmnist").assign(held_out=0)
    settings = {"name": "small", "recipes": {"sigmoid-linf": RECIPE}}

    def said(*parts: pd.DataFrame) -> str | None:
        accuracy = whole_numbers(pd.concat(parts, ignore_index=True)).assign(n_train=10)
        return about({"accuracy": accuracy}, settings, {"mnist": "MNIST"}).get("Runs missing")

    text = said(runs, apart)
    assert text.startswith(
        "FF on MNIST: 3; FF on fashionmnist without class 0: 4, for 5 of each. Seeds"
    )
    assert "of the study `small`" in text
    assert said(accuracy_of({"FF": [0.9] * 5})) is None


def test_the_page_names_epochs_that_differ_from_the_texts() -> None:
    runs = whole_numbers(accuracy_of({"FF": [0.9]})).assign(n_train=10)
    epochs = {"FF": {"epochs": 200}, "BPFF": {"epochs": 1000}, "BP": {"epochs": 20}}
    settings = {"recipes": {"sigmoid-linf": {**RECIPE, **epochs}}}
    said = about({"accuracy": runs}, settings)["Epochs"]
    assert said == "FF 200 (the text names 1000), BP/FF 1000, BP 20"


def test_a_page_of_nothing() -> None:
    text = page(compare({}), claims({}), {})
    assert text.startswith("# Reproduction\n")
    assert "not run 52." in text
    assert "nan" not in text
    assert "None" not in text


def test_needs_no_torch() -> None:
    code = "import sys, ffensembles.publication.page; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
