"""Measure an extension on one run."""

from ffensembles.analyses.tidy import with_keys, write_frame
from ffensembles.extensions import EXTENSIONS
from ffensembles.extensions.observing import DynamicsObserver
from ffensembles.extensions.runs import ExtensionRun
from ffensembles.models.recipe import Recipe
from ffensembles.runs import Run
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    given, params = snakemake.input, snakemake.params
    one = EXTENSIONS[snakemake.wildcards.extension]
    keys = Run.from_wildcards(snakemake.wildcards).keys
    run = ExtensionRun(
        keys,
        files={name: path for name, path in given.items() if name not in ("code", "stores")},
        stores=dict(zip(params.methods, given.get("stores", []), strict=False)),
        recipe=Recipe.from_json(params.recipe),
        data={**snakemake.config["data"], **params.images},
        methods=params.methods,
        observer=DynamicsObserver.configured(snakemake.config),
    )
    frame = one.of_run(run, one.parameters(**params.parameters))
    write_frame(with_keys(frame, keys), snakemake.output[0])
