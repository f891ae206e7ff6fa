"""The keys of the configuration: their types, and what each is for. Values are in config.yaml."""

from typing import Annotated, Any, Literal

from ffensembles.ensembles.loo import Loo
from ffensembles.ensembles.method1 import Method1
from ffensembles.ensembles.method2 import Method2
from ffensembles.models.recipe import Model, Norm
from ffensembles.runtime.keys import (
    Count,
    Field,
    Folder,
    Ge,
    Group,
    Label,
    Le,
    Len,
    MinLen,
    Number,
    Positive,
    Quantile,
    Seed,
    Some,
    Unique,
)


class OwnSeeds(Group):
    """Seeds of one model on one data set, where they are not those of all."""

    model: Model = Field(description="the model")
    dataset: str = Field(description="the data set, one of `datasets`")
    seeds: Annotated[list[Seed], Unique] = Field(description="its seeds; none: it is not run")


class HeldOut(Group):
    """Runs trained without one class."""

    model: Model = Field(description="the model")
    dataset: str = Field(description="the data set, one of `datasets`")
    classes: Literal["all"] | Annotated[list[Label], Some, Unique] = Field(
        description="labels of the classes to leave out, one run each; or all of them"
    )
    seeds: Literal["all"] | Annotated[list[Seed], Some, Unique] = Field(
        description="seeds of these runs, among `seeds`; or all of them"
    )


class Data(Group):
    """Where images come from, and how many are used."""

    source: Annotated[str, MinLen(1)] | None = Field(
        description="local folder or http mirror laid out as {source}/{dataset}/{file}"
    )
    folder: Folder = Field(description="where downloads are kept")
    train_images: Count | None = Field(description="training images used, stratified by class")
    test_images: Count | None = Field(description="test images used, stratified by class")
    split_seed: Seed = Field(description="draws which images are used, and the split of `digits`")


class Training(Group):
    """How to compute; what is learnt does not depend on it."""

    engine: Literal["fast", "reference"] = Field(description="implementation of training")
    device: Literal["auto", "cpu", "cuda"] = Field(description="where to compute")
    precision: Literal["float32"] = Field(description="of matrix products")
    block_size: Count = Field(description="presentations computed at once")
    runs_per_job: Count = Field(description="runs, different in their seed alone, that share a job")
    checkpoint_minutes: Positive = Field(description="minutes between two saved states")
    record_every: Count = Field(description="epochs between two rows of a history")
    dead_floor: Annotated[Number, Ge(0)] = Field(
        description="a layer no unit of which ever exceeds this activation is reported as dead"
    )


class Fit(Group):
    """Adam's settings."""

    learning_rate: Positive = Field(description="Adam's learning rate")
    epochs: Count = Field(description="epochs; for FF, of each layer")
    batch_size: Count | None = Field(description="images per step; null: all of them")


class GoodnessFit(Fit):
    """Adam's settings, and the goodness to reach."""

    theta: Positive = Field(description="threshold of the goodness; for BPFF, of its sum")


class Mathematics(Group):
    """What is learnt and how it is read."""

    widths: Annotated[list[Count], Some] = Field(description="units of each hidden layer")
    activation: Literal["sigmoid", "relu"] = Field(description="non-linearity")
    goodness: Norm = Field(description="norm of a layer's activations that is its goodness")
    normalisation: Norm = Field(description="norm that divides activations between layers")
    normalise_input: bool = Field(description="whether the first layer's input is divided too")
    standardisation: Literal["mnist", "own"] = Field(
        description="whose mean and deviation standardise the images"
    )
    label_value: Literal["dataset", "image"] = Field(
        description="value of the label's pixel: maximum of the data set, or of the image"
    )
    prediction: Literal["goodness", "softmax"] = Field(
        description="sum over layers of the goodness, or of its softmax over labels"
    )
    negatives: Literal["once", "each-epoch", "pooled"] = Field(
        description="when the wrong label of an image's negative is drawn; or negatives drawn once "
        "from the pool of all images with all wrong labels"
    )
    held_out_negatives: Literal["exclude", "include"] = Field(
        description="whether negatives may carry the label of a held-out class"
    )
    unseen_label: Literal["own", "predicted"] = Field(
        description="label that images of a held-out class carry when representations are read"
    )
    FF: GoodnessFit = Field(description="FF: layer by layer")
    BPFF: GoodnessFit = Field(
        description="BP/FF: the same goodness, summed over layers, end to end"
    )
    BP: Fit = Field(description="BP: cross-entropy")


class Protocol(Mathematics):
    """A protocol: its mathematics, and where single data sets differ."""

    per_dataset: dict[str, dict[str, Any]] = Field(
        description="for single data sets, other values of any key above"
    )


class Activations(Group):
    """Stores of activations."""

    temporary: bool = Field(description="delete them once every result is made")
    mantissa_bits: Annotated[int, Ge(1), Le(23)] | None = Field(
        description="bits of float32's mantissa that are kept; null: all"
    )


class Ensembles(Group):
    """Every way to find ensembles, and its parameters."""

    method1: Method1 = Field(description="quantile of all values")
    method2: Method2 = Field(description="density and rank")
    loo: Loo = Field(description="leave one out")


class Table2(Group):
    """Table 2."""

    quantile: Quantile = Field(description="Method 1's, one of `ensembles.method1.quantiles`")


class Tables(Group):
    """What tables show."""

    table2: Table2 = Field(description="sizes of ensembles")


class Example(Group):
    """The run that a figure shows."""

    dataset: str = Field(description="the data set of the study's figure")
    model: Model = Field(description="the model shown")
    layer: Count = Field(description="the layer shown")


class Figure1(Example):
    """Figure 1: activation patterns and maps."""

    quantile: Quantile = Field(description="Method 1's")


class Figure2(Group):
    """Figure 2: sizes by class."""

    quantile: Quantile = Field(description="Method 1's")


class Figure3(Example):
    """Figure 3: shared units."""

    quantile: Quantile = Field(description="Method 1's")
    categories: Annotated[list[Label], Len(2, 2), Unique] = Field(
        description="the two classes of A"
    )


class Figure4(Example):
    """Figure 4: an unseen class."""

    held_out: Label = Field(description="the class left out")


class Figure7(Group):
    """Figure 7: negative weights by unit."""

    layer: Count = Field(description="the layer shown")
    bins: Count = Field(description="bins of the histogram")


class Figure8(Group):
    """Figure 8: Method 1 against Method 2."""

    dataset: str = Field(description="the data set of A's example")
    model: Model = Field(description="the model of A's example")
    quantile: Quantile = Field(description="Method 1's")


class Figures(Group):
    """What figures show."""

    seed: Literal["first"] | Seed = Field(description="seed of the runs shown as examples")
    figure1: Figure1 = Field(description="activation patterns and maps")
    figure2: Figure2 = Field(description="sizes of ensembles by class")
    figure3: Figure3 = Field(description="units that ensembles share")
    figure4: Figure4 = Field(description="response to an unseen class")
    figure5: Example = Field(description="activation map of layer 2")
    figure6: Example = Field(description="activation map of layer 3")
    figure7: Figure7 = Field(description="distribution of negative weights")
    figure8: Figure8 = Field(description="Method 1 against Method 2")


class Setting(Group):
    """One open setting and the values it is given, each in turn, all else as it is."""

    key: str = Field(
        description="key of a recipe, with points between groups: FF.theta; or a side of "
        "Method 2's cut: ensembles.method2.max_rho"
    )
    values: Annotated[list[Any], Some, Unique] = Field(description="its other values")
    models: Annotated[list[Model], Some, Unique] = Field(description="models that it concerns")


class Sweep(Group):
    """Settings that were never published, varied one at a time around the first protocol."""

    seeds: Annotated[list[Seed], Some, Unique] = Field(description="one run of each per seed")
    settings: list[Setting] = Field(description="what is varied")


class Reproduction(Group):
    """Every published number beside ours, and the study's claims against their nulls."""

    results: Folder | None = Field(
        description="folder of the results that are judged; null: this study's own"
    )
    sweep: Folder | None = Field(
        description="folder of the sweep that explains what differs; null: none"
    )
    untrained_seeds: Annotated[list[Seed], Some, Unique] = Field(
        description="untrained nets, a null: one of each model and data set per seed"
    )


class Config(Group):
    """A whole study."""

    name: Annotated[str, MinLen(1)] = Field(description="the study's name in its report")
    results: Folder = Field(description="folder of everything this study makes")
    protocols: Annotated[list[str], Some, Unique] = Field(description="protocols, of `recipes`")
    datasets: Annotated[list[str], Some, Unique] = Field(description="data sets")
    models: Annotated[list[Model], Some, Unique] = Field(description="models")
    seeds: Annotated[list[Seed], Some, Unique] = Field(description="one run of each model per seed")
    own_seeds: list[OwnSeeds] = Field(description="models on data sets with other seeds")
    held_out: list[HeldOut] = Field(description="additional runs trained without one class")
    data: Data = Field(description="where images come from")
    training: Training = Field(description="how to compute")
    recipes: dict[str, Protocol] = Field(description="the mathematics of each protocol")
    activations: Activations = Field(description="stores of activations")
    ensembles: Ensembles = Field(description="methods to find ensembles")
    tables: Tables = Field(description="what tables show")
    figures: Figures = Field(description="what figures show")
    sweep: Sweep = Field(description="settings that were never published, varied")
    reproduction: Reproduction = Field(description="every published number beside ours")
