# Figures: one rule draws every figure of every edition; its kind says what it needs.


def figure_inputs(wildcards):
    """Return the files that a figure is drawn from, by what they are."""
    needs = editions.needs(wildcards.edition, wildcards.figure)
    variant = editions.variants(wildcards.edition, wildcards.figure)[wildcards.variant]
    found = {name: tidy(name) for name in needs.frames}
    if variant.run is not None:
        like = {key: value for key, value in variant.run.keys.items() if key != "seed"}
        runs = grid.select(**like)
        found |= {
            name: paths.each("frame", runs, frame=name) for name in needs.run_frames
        }
        found |= {
            f"store_{method}": paths.one("ensembles", variant.run, method=method)
            for method in needs.methods
        }
        if needs.sample:
            found["sample"] = paths.one("sample", variant.run)
    return found


def figure_entry(wildcards):
    """Return a figure's kind and parameters."""
    return editions.figures(wildcards.edition)[wildcards.figure]


rule draw_figure:
    input:
        unpack(figure_inputs),
        code=lambda wildcards: code(
            KINDS[figure_entry(wildcards).kind].draw.__module__,
            "ffensembles.plotting.saving",
        ),
    output:
        **{
            ending: paths.pattern("figure", ending=ending)
            for ending in ("pdf", "png", "rst")
        },
    log:
        paths.pattern("log", stage="figures/{edition}/{figure}{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        parameters=lambda wildcards: figure_entry(wildcards).model_dump(),
        protocol=lambda wildcards: study.config.editions[wildcards.edition].protocol,
        labels=lambda wildcards: {
            name: editions.label(wildcards.edition, name)
            for name in editions.variants(wildcards.edition, wildcards.figure)[
                wildcards.variant
            ].datasets
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
        **{
            ending: paths.one("extra_figure", figure="sweep", ending=ending)
            for ending in ("pdf", "png", "rst")
        },
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
