"""A published number with the conditions that it was measured under."""

from dataclasses import dataclass
from typing import Any, Literal

Known = Literal["printed", "fitted", "inferred"]


@dataclass(frozen=True)
class Published:
    """One published number and the conditions that it was measured under.

    Attributes
    ----------
    quantity
        What it is: `accuracy`, `ensemble_size` (units), `positive_weights` (fraction), `sparsity`
        (Hoyer's), or one of the single numbers of text and captions.
    source
        Table, figure, section or notebook it stands in.
    value
        The number as printed; of several runs listed one by one, their mean.
    se
        Its standard error over the runs; None if none is printed.
    dataset, model, layer
        What it belongs to; None where it belongs to more than one.
    runs
        Runs it rests on; None where the study does not say.
    note
        What else one has to know.
    edition, protocol
        Edition of the study, and the protocol of the runs.
    method, quantile, k
        Method that found the ensembles, Method 1's quantile, and LOO's k; None where no ensemble
        is measured or the method has no such parameter.
    held_out
        Label of the class left out of training; None if none is.
    categories
        Labels of the classes that it is of; empty for all of them.
    known
        How its conditions are known: `printed` beside it, `fitted` (the order of a listing leaves
        one safe reading) or `inferred` (from that order, less safely).
    low, high
        Ends of the range of single runs; None where a single value is known. A number of which
        only an upper bound is known has no `low`, and its bound as `value` and `high`.
    """

    quantity: str
    source: str
    value: float
    se: float | None = None
    dataset: str | None = None
    model: str | None = None
    layer: int | None = None
    runs: int | None = None
    note: str = ""
    edition: str = "2023"
    protocol: str = "sigmoid-linf"
    method: str | None = None
    quantile: float | None = None
    k: float | None = None
    held_out: int | None = None
    categories: tuple[int, ...] = ()
    known: Known = "printed"
    low: float | None = None
    high: float | None = None

    @property
    def bound(self) -> bool:
        """Whether the value is only an upper bound."""
        return self.low is None and self.high is not None

    @property
    def ensembles(self) -> dict[str, Any]:
        """The columns of a tidy frame that select the ensembles it was measured on.

        Examples
        --------
        >>> Published("ensemble_size", "", 2.7, method="method1", quantile=0.95).ensembles
        {'method': 'method1', 'quantile': 0.95}
        >>> Published("shared_units", "", 1.0, method="loo", k=1).ensembles
        {'method': 'loo'}
        """
        selected = {"method": self.method, "quantile": self.quantile}
        return {name: value for name, value in selected.items() if value is not None}
