"""A finished run opened as in a notebook."""

import numpy as np
import pytest
from workplace import Workplace

from ffensembles import load_run
from ffensembles.datasets.loading import load
from ffensembles.errors import StoreError

FF = "runs/sigmoid-linf/digits/FF/held-out-none/seed-0"


def test_a_run_is_opened_by_its_folder(finished: Workplace):
    run = load_run(finished.results / FF)
    assert run.run["model"] == "FF"
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
