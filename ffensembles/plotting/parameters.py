"""What the parameters of several kinds of figure have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from ffensembles.ensembles import METHODS
from ffensembles.models.recipe import Model
from ffensembles.runtime.keys import Allowed, Count, Field, Group, Quantile


def _known(name: str) -> str:
    if name not in METHODS:
        text = f"found {name!r}; allowed: {', '.join(METHODS)}"
        raise PydanticCustomError("problem", "{text}", {"text": text})
    return name


MethodName = Annotated[str, AfterValidator(_known), Allowed("a method that finds ensembles")]
"""Name of a registered method that finds ensembles."""


class Example(Group):
    """A figure of one example run."""

    kind: str
    dataset: str = Field("mnist", description="data set of the study's figure")
    model: Model = Field("FF", description="model")
    layer: Count = Field(1, description="layer")


class Found(Group):
    """A figure of ensembles found by one method."""

    kind: str
    method: MethodName = Field("method1", description="method that finds ensembles")
    quantile: Quantile | None = Field(0.9, description="quantile, for methods that have one")

    @property
    def at(self) -> float | None:
        """The quantile; None where the method has none, whatever `quantile` says."""
        return METHODS[self.method].at(self.quantile)

    @property
    def method_title(self) -> str:
        """The method and its quantile, in print."""
        return METHODS[self.method].titled(self.quantile)
