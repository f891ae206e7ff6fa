"""A finished run opened as in a notebook, and the notebooks of the documentation."""

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from workplace import ROOT, Workplace

from ffensembles import load_run
from ffensembles.datasets.loading import load
from ffensembles.errors import StoreError

FF = "runs/sigmoid-linf/digits/FF/held-out-none/seed-0"


def test_a_run_is_opened_by_its_folder(finished: Workplace):
    run = load_run(finished.results / FF)
    assert run.run["model"] == "FF"
    assert repr(run).startswith("TrainedRun(protocol='sigmoid-linf', dataset='digits', model='FF'")
    assert run.recipe.widths == (36, 25, 20)
    assert run.weights["layer1.weight"].shape == (36, 784)
    assert set(run.ensembles) == {"method1", "method2", "loo"}
    assert set(run.frame("sizes").method) == {"method1", "method2", "loo"}


@pytest.mark.parametrize("model", ["FF", "BP"])
def test_new_images_are_read_through_the_net_as_test_images_are(finished: Workplace, model: str):
    run = load_run(finished.results / FF.replace("/FF/", f"/{model}/"))
    stored = run.representations["layer2"].to_dataset()
    test = load("digits", "test", limit=100, seed=0)
    read = run.activations(test.images, test.labels)["layer2"].to_dataset()
    stored = stored.sortby("stimulus_id")
    order = np.argsort(test.stimulus_id)
    again = read.isel(presentation=np.argsort(read.stimulus_id.values)).isel(presentation=order)
    np.testing.assert_allclose(again.activation, stored.activation, rtol=2e-3, atol=1e-5)


def test_without_labels_the_predicted_ones_are_embedded(finished: Workplace):
    run = load_run(finished.results / FF)
    test = load("digits", "test", limit=20, seed=0)
    layer = run.activations(test.images)["layer1"]
    assert (layer["embedded_label"] == layer["predicted"]).all()


def test_images_of_another_size_are_refused(finished: Workplace):
    with pytest.raises(ValueError, match="digits has"):
        load_run(finished.results / FF).activations(np.zeros((2, 8, 8)))


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"holds no run\.json"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["run-to-ensembles", "compare-models"])
def test_the_documentations_notebooks_run_on_a_finished_study(
    finished: Workplace, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv("FFENSEMBLES_RESULTS", str(finished.results))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / f"docs/notebooks/{name}.ipynb", as_version=4)
    place = {"metadata": {"path": str(finished.folder)}}
    NotebookClient(notebook, timeout=300, resources=place).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [one for one in shown if "image/png" in one.get("data", {})]
    text = "\n".join(one.get("text") or one["data"].get("text/plain", "") for one in shown)
    expected = {
        "run-to-ensembles": ["(36, 25, 20)", "ensemble size (units)", "of 100 images"],
        "compare-models": ["two FF", "BP/FF and BP", "layer 3"],
    }
    assert not [words for words in expected[name] if words not in text]
