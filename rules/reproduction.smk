# Beside the publication: the sweep of what it leaves open, and every number laid beside its own.


rule draw_sweep:
    input:
        frame=study.path("tidy", frame="sweep"),
        code=code("ffensembles.plotting.sweep", "ffensembles.plotting.saving"),
    output:
        pdf=study.path("figure", figure="sweep", variant="", ending="pdf"),
        png=study.path("figure", figure="sweep", variant="", ending="png"),
        rst=study.path("figure", figure="sweep", variant="", ending="rst"),
    log:
        study.path("log", stage="sweep"),
    conda:
        "../envs/analysis.yaml"
    params:
        base=study.settings_as_they_are,
        titles={name: study.label(name)["title"] for name in study.config.datasets},
    message:
        "Figure of the sweep"
    script:
        "../scripts/figure_sweep.py"


rule judge:
    # reads results of its own configuration, made elsewhere and never made anew by this rule, unless
    # `reproduction.results` is null
    input:
        **{
            part: path
            for parts in judged_frames().values()
            for part, path in parts.items()
        },
        configuration=f"{judged}/{study.inside('configuration')}",
        sweep=(
            f"{study.config.reproduction.sweep}/{study.inside('tidy', frame='sweep')}"
            if study.config.reproduction.sweep
            else []
        ),
        code=code("ffensembles.publication.page"),
    output:
        page=study.path("reproduction", frame="reproduction.md"),
        numbers=study.path("reproduction", frame="numbers.csv"),
        claims=study.path("reproduction", frame="claims.csv"),
    log:
        study.path("log", stage="reproduction"),
    conda:
        "../envs/analysis.yaml"
    params:
        frames={name: list(parts) for name, parts in judged_frames().items()},
        categories=study.config.figures.figure3.categories,
        held_out=study.config.figures.figure4.held_out,
        titles={name: entry.title for name, entry in DATASETS.items()},
    message:
        "Laying every published number beside ours"
    script:
        "../scripts/reproduction.py"


rule sweep:
    input:
        rules.draw_sweep.output,
        rules.write_configuration.output,
    localrule: True


rule reproduction:
    input:
        rules.judge.output,
    localrule: True
