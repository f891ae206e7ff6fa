# Figures: one rule draws every figure of every edition; its kind says what it needs.


rule draw_figure:
    input:
        unpack(figure_inputs),
        code=lambda wildcards: code(
            KINDS[figure_entry(wildcards).kind].draw.__module__,
            "ffensembles.plotting.shown",
            "ffensembles.plotting.saving",
        ),
    output:
        **{ending: paths.pattern("figure", ending=ending) for ending in FIGURE_ENDINGS},
    log:
        paths.pattern("log", stage="figures/{edition}/{figure}{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        parameters=lambda wildcards: figure_entry(wildcards).model_dump(),
        rows=figure_rows,
        # another seed's files may be older than the figure
        run=figure_run,
        protocol=lambda wildcards: study.config.editions[wildcards.edition].protocol,
        labels=lambda wildcards: {
            name: editions.label(wildcards.edition, name)
            for name in figure_variant(wildcards).datasets
        },
    message:
        "Drawing {wildcards.figure}{wildcards.variant} of edition {wildcards.edition}"
    script:
        "../scripts/draw_figure.py"


rule draw_sweep:
    input:
        frame=tidy("sweep"),
        code=code("ffensembles.plotting.sweep", "ffensembles.plotting.saving"),
    output:
        **extra_figure("sweep"),
    log:
        paths.one("log", stage="figures/sweep"),
    conda:
        "../envs/analysis.yaml"
    params:
        base=configured(study.config, study.config.sweep),
        titles=titles(),
    message:
        "Drawing the sweep"
    script:
        "../scripts/draw_sweep.py"
