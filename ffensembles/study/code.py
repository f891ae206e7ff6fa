"""The library's files that a run's results depend on."""

from ffensembles.datasets import DATASETS
from ffensembles.models.spec import MODELS
from ffensembles.runtime.dependencies import library_files


def files_of_run(dataset: str, model: str, *modules: str) -> list[str]:
    """Return the files that some modules import where a run's data set and model are known.

    Other data sets and models do not count: to add one trains nothing again.

    Parameters
    ----------
    dataset, model
        Names in the registries.
    modules
        As for `library_files`.

    Returns
    -------
    list of str
        Sorted paths, relative to the folder of the package (`runtime.dependencies.ROOT`).
    """
    one = DATASETS[dataset]
    return library_files(*modules, one.module, own=(one.declared, MODELS[model].declared))
