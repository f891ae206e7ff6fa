"""What edition 2025 has beside the study's own figures, through the real snakemake on digits."""

import pandas as pd
import pytest
from workplace import Workplace

from ffensembles.analyses.tidy import read_frame

FIT = {"learning_rate": 0.01, "epochs": 2, "batch_size": 100}
LATER = {
    "protocols": ["relu-l2"],
    "models": ["FF", "BP"],
    "seeds": [0],
    "held_out": [
        {"protocols": "all", "model": "FF", "dataset": "digits", "classes": [0], "seeds": [0]}
    ],
    "recipes": {
        "relu-l2": {
            "widths": [30, 25, 20],
            "standardisation": "own",
            "FF": FIT,
            "BP": FIT,
        }
    },
    "control": {
        "seeds": [0],
        "per_dataset": {"digits": {"FF": {"epochs": 1}}},
        "settings": [
            {"key": "BP.l1_penalty", "values": [0.0001], "models": ["BP"]},
            {"key": "FF.learning_rate", "values": [0.001], "models": ["FF"]},
        ],
    },
    "activations": {"temporary": False},
}
FIGURES = ("rsa", "probes", "sparsity_accuracy")


@pytest.mark.slow
def test_similarity_probes_and_control_runs(fresh: Workplace):
    done = fresh.start(*FIGURES, **LATER)
    assert done.returncode == 0, done.stdout[-6000:]
    tidy = fresh.results / "tidy"
    rsa = read_frame(tidy / "rsa.parquet")
    assert set(rsa.model) | set(rsa.other_model) == {"FF", "BP"}
    assert len(rsa) == 2 * (6 * 7 // 2)  # two kinds of conditions; two runs of three layers
    assert read_frame(tidy / "ceilings.csv").n_runs.eq(1).all()
    probes = read_frame(tidy / "probes.csv")
    assert set(probes.net) == {"pixels", "trained", "untrained"}
    assert set(probes.held_out) == {0}
    accuracy = read_frame(tidy / "control/accuracy.csv")
    found = set(accuracy[["protocol", "model"]].itertuples(index=False, name=None))
    assert found == {
        ("relu-l2", "BP"),
        ("relu-l2--base", "FF"),  # trained shorter than the study's own
        ("relu-l2--BP.l1_penalty-0.0001", "BP"),
        ("relu-l2--FF.learning_rate-0.001", "FF"),
    }
    for figure in FIGURES:
        assert (fresh.results / f"figures/2025/{figure}.png").stat().st_size > 10_000
    caption = (fresh.results / "figures/2025/sparsity_accuracy.rst").read_text()
    assert "BP l1 0.0001: " in caption
    assert "FF lr 0.001: " in caption
    # the control's runs and the study's own were trained, and no other is missing
    assert fresh.jobs("training", **LATER) == {}
    assert pd.read_csv(tidy / "control/sparsity.csv").protocol.nunique() == 4
