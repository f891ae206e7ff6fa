"""A run in one's own hands: what is kept of it opens, and what is not says so."""

from pathlib import Path

import pandas as pd
import pytest
from run_files import make_run

from ffensembles import load_run
from ffensembles.analyses.tidy import whole_numbers, write_frame
from ffensembles.errors import StoreError


def test_a_run_of_which_frames_alone_are_kept(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run"))
    assert sorted(run.weights) == ["layer1.weight", "layer2.weight"]
    (run.folder / "weights.safetensors").unlink()
    kept = load_run(run.folder)
    for read in (
        lambda: kept.weights,
        lambda: kept.representations,
    ):
        with pytest.raises(StoreError, match=r"is not there\. A repository keeps frames alone"):
            read()
    assert kept.ensembles == {}
    with pytest.raises(StoreError, match=r"has no frame sizes; there are: none\."):
        kept.frame("sizes")
    (run.folder / "frames").mkdir()
    frame = whole_numbers(pd.DataFrame([{**kept.run, "size": 3.0}]))
    write_frame(frame, run.folder / "frames/sizes.parquet")
    assert kept.frame("sizes")["size"].tolist() == [3.0]
    (run.folder / "extensions").mkdir()
    write_frame(frame.assign(size=4.0), run.folder / "extensions/causality.parquet")
    assert kept.frame("causality")["size"].tolist() == [4.0]
    with pytest.raises(StoreError, match=r"has no frame size; there are: causality and sizes\."):
        kept.frame("size")
