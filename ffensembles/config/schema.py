"""The keys of the configuration: their types, and what each is for. Values are in config.yaml."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, create_model

from ffensembles.ensembles import METHODS
from ffensembles.extensions import EXTENSIONS
from ffensembles.models.fit import Negatives
from ffensembles.models.recipe import Norm
from ffensembles.models.spec import MODELS
from ffensembles.runtime.keys import (
    Allowed,
    Count,
    Field,
    Folder,
    Ge,
    Group,
    Label,
    Le,
    MinLen,
    Number,
    Positive,
    Seed,
    Some,
    Unique,
    Whole,
    Width,
)

if TYPE_CHECKING:
    ModelName = str
    ExtensionName = str
else:
    ModelName = Literal[tuple(MODELS)]
    ExtensionName = Literal[tuple(EXTENSIONS)]


def _without_nulls(value: Any) -> Any:
    """Leave out null: an overlay takes away what the file below it has, and cannot with `{}`."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {key: one for key, one in value.items() if one is not None}
    return value


PerDataset = Annotated[
    dict[str, dict[str, Any]],
    BeforeValidator(_without_nulls, json_schema_input_type=dict[str, dict[str, Any] | None] | None),
]


class OwnSeeds(Group):
    """Seeds of some runs on all classes, where they are not those of all."""

    protocol: str = Field(description="the protocol, one of `recipes`; or all")
    dataset: str = Field(description="the data set; or all")
    model: str = Field(description="the model; or all")
    seeds: Annotated[list[Seed], Unique] = Field(description="their seeds; none: they are not run")


class HeldOut(Group):
    """Runs trained without one class."""

    protocols: Literal["all"] | Annotated[list[str], Some, Unique] = Field(
        description="protocols of these runs; or all"
    )
    model: ModelName = Field(description="the model")
    dataset: str = Field(description="the data set, one of `datasets`")
    classes: Literal["all"] | Annotated[list[Label], Some, Unique] = Field(
        description="labels of the classes to leave out, one run each; or all of them"
    )
    seeds: Literal["all"] | Annotated[list[Seed], Some, Unique] = Field(
        description="seeds of these runs, among `seeds` or those of the runs on all classes; or "
        "all of the latter"
    )


class Data(Group):
    """Where images come from. No result depends on it."""

    source: Annotated[str, MinLen(1)] | None = Field(
        description="local folder or http mirror laid out as {source}/{dataset}/{file}"
    )
    folder: Folder = Field(description="where downloads are stored")


class Images(Group):
    """Which images are used. Results depend on it."""

    train_images: Count | None = Field(description="training images used, stratified by class")
    test_images: Count | None = Field(description="test images used, stratified by class")
    split_seed: Seed = Field(description="draws which images are used, and the split of `digits`")


def _none_or_several(count: int) -> int:
    if count == 1:  # one alone is not the last
        raise ValueError
    return count


class Readings(Group):
    """Readings of nets while they train, for the extension `dynamics`."""

    epochs: Annotated[
        Whole, Ge(0), AfterValidator(_none_or_several), Allowed("0, or a whole number from 2")
    ] = Field(
        12, description="log-spaced epochs after which a net is read, first and last included; "
        "0: never"
    )  # fmt: skip
    images: Count = Field(50, description="test images of each class that are read")


class Training(Group):
    """How to compute; what is learnt does not depend on it."""

    engine: Literal["fast", "plain"] = Field(description="implementation of training")
    device: Literal["auto", "cpu", "cuda"] = Field(description="where to compute")
    precision: Literal["float32"] = Field(description="of matrix products")
    block_size: Count = Field(description="presentations computed at once")
    # the name of a block's file has the seeds of all
    runs_per_job: Annotated[Whole, Ge(1), Le(32)] = Field(
        description="runs, different in their seed alone, that share a job"
    )
    checkpoint_minutes: Positive = Field(description="minutes between two saved states")
    record_every: Count = Field(
        description="epochs between two rows of a history, of trainings from now on"
    )
    dead_floor: Annotated[Number, Ge(0)] = Field(
        description="a layer no unit of which ever exceeds this activation is reported as dead; "
        "of trainings from now on"
    )
    readings: Readings = Field(
        default_factory=Readings, description="readings of nets while they train"
    )


class _Mathematics(Group):
    """What is learnt and how it is read."""

    widths: Annotated[list[Width], Some] = Field(description="units of each hidden layer")
    activation: Literal["sigmoid", "relu"] = Field(description="non-linearity")
    goodness: Norm = Field(description="norm of a layer's activations that is its goodness")
    normalisation: Norm = Field(description="norm that divides activations between layers")
    normalise_input: bool = Field(description="whether the first layer's input is divided too")
    standardisation: Literal["mnist", "own", "channel"] = Field(
        description="whose mean and deviation standardise the images"
    )
    label_value: Literal["dataset", "image"] = Field(
        description="value of the label's pixel: maximum of the data set, or of the image"
    )
    prediction: Literal["goodness", "softmax"] = Field(
        description="sum over layers of the goodness, or of its softmax over labels"
    )
    negatives: Negatives = Field(
        description="when the wrong label of an image's negative is drawn; or negatives drawn once "
        "from the pool of all images with all wrong labels; or all images with their labels "
        "permuted, some of which are right"
    )
    held_out_negatives: Literal["exclude", "include"] = Field(
        description="whether negatives may carry the label of a held-out class"
    )
    unseen_label: Literal["own", "predicted"] = Field(
        description="label that images of a held-out class carry when representations are read"
    )


if TYPE_CHECKING:
    Mathematics = _Mathematics
else:
    Mathematics = create_model(
        "Mathematics",
        __base__=_Mathematics,
        __doc__=_Mathematics.__doc__,
        **{
            name: (spec.parameters, Field(description=f"{spec.title}: {spec.description}"))
            for name, spec in MODELS.items()
        },
    )


class Protocol(Mathematics):
    """A protocol: its mathematics, and where single data sets differ."""

    per_dataset: PerDataset = Field(
        description="for single data sets, other values of any key above; null: none"
    )


class Activations(Group):
    """Stores of activations."""

    sample: Count | None = Field(
        description="images of each class that figures are drawn from; null: all"
    )
    temporary: bool = Field(description="delete them once every result is made")
    mantissa_bits: Annotated[int, Ge(1), Le(23)] | None = Field(
        description="bits of float32's mantissa that are kept; null: all"
    )


if TYPE_CHECKING:
    Ensembles = Group
else:
    Ensembles = create_model(
        "Ensembles",
        __base__=Group,
        __doc__="Every method that finds ensembles, and its parameters.",
        **{
            name: (method.parameters, Field(description=f"{method.title}: its parameters"))
            for name, method in METHODS.items()
        },
    )


if TYPE_CHECKING:
    ExtensionSettings = Group
else:
    ExtensionSettings = create_model(
        "ExtensionSettings",
        __base__=Group,
        __doc__="Every extension, and its parameters.",
        **{
            name: (
                one.parameters,
                Field(default_factory=one.parameters, description=f"{one.title}: its parameters"),
            )
            for name, one in EXTENSIONS.items()
        },
    )


Entry = dict[str, Any] | None
"""A table or figure: its kind and that kind's parameters, or null for none. Checked by `checks`."""


class Edition(Group):
    """An edition of the study: its tables and figures, made of the runs of one protocol."""

    protocol: str = Field(description="the protocol of its runs, one of `recipes`")
    seed: Literal["first"] | Seed = Field(description="seed of the runs shown as examples")
    tables: dict[str, Entry] = Field(description="its tables by name: kind and parameters")
    figures: dict[str, Entry] = Field(description="its figures by name: kind and parameters")


class Setting(Group):
    """One open setting and the values it is given, each in turn, all else as it is."""

    key: str = Field(
        description="key of a recipe, with points between groups: FF.theta; or of Method 2's cut: "
        "ensembles.method2.cut, .max_rho or .max_n_h"
    )
    values: Annotated[list[Any], Some, Unique] = Field(description="its other values")
    models: Annotated[list[ModelName], Some, Unique] = Field(description="models that it concerns")
    seeds: (
        Annotated[list[Seed], Some, Unique] | dict[str, Annotated[list[Seed], Some, Unique]] | None
    ) = Field(
        None,
        description="seeds of these runs; by data set, where others than the named ones have "
        "none; null: those of all settings",
    )


class Sweep(Group):
    """Settings varied one at a time around a protocol."""

    protocol: str = Field(description="the protocol that is varied, one of `recipes`")
    datasets: Literal["all"] | Annotated[list[str], Some, Unique] = Field(
        description="data sets of these runs, of the study's; or all"
    )
    seeds: Annotated[list[Seed], Some, Unique] = Field(description="one run of each per seed")
    per_dataset: PerDataset = Field(
        description="for single data sets, other values of any key of the recipe, in every run "
        "here; null: none"
    )
    settings: list[Setting] = Field(description="what is varied")


class Reproduction(Group):
    """Every published number beside ours, and the study's claims against their nulls."""

    results: Folder | None = Field(
        description="folder of the results that are compared; null: this study's own"
    )
    sweeps: Annotated[list[Folder], Unique] = Field(
        description="folders of the sweeps that say what comes nearer where a number differs"
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
    models: Annotated[list[ModelName], Some, Unique] = Field(description="models")
    seeds: Annotated[list[Seed], Some, Unique] = Field(description="one run of each model per seed")
    own_seeds: list[OwnSeeds] = Field(description="runs with other seeds; the first entry counts")
    held_out: list[HeldOut] = Field(description="additional runs trained without one class")
    keep: bool = Field(description="results that are there stay, whatever code has changed since")
    data: Data = Field(description="where images come from")
    images: Images = Field(description="which images are used")
    training: Training = Field(description="how to compute")
    recipes: dict[str, Protocol] = Field(description="the mathematics of each protocol")
    activations: Activations = Field(description="stores of activations")
    ensembles: Ensembles = Field(description="methods to find ensembles")
    editions: dict[str, Edition] = Field(description="the study's editions: tables and figures")
    # with defaults: configurations written before there were extensions stay readable
    extensions: Annotated[list[ExtensionName], Unique] = Field(
        [], description="extensions that `all` includes; each can be asked for by its name"
    )
    extension_settings: ExtensionSettings = Field(
        default_factory=ExtensionSettings, description="parameters of the extensions"
    )
    sweep: Sweep = Field(description="settings that were never published, varied")
    control: Sweep = Field(description="control runs: settings as no publication has them")
    # with a default, as `extensions`
    sleep_wake: Sweep | None = Field(
        None, description="runs of the extension `sleep_wake`: phases varied; null: none"
    )
    reproduction: Reproduction = Field(description="every published number beside ours")
