# Tidy frames: each is measured on one run, then put together across runs.
# A scope is the runs that a frame across runs is of: the study's, untrained nets, the study's with labels
# shuffled, a sweep's, a control's.

for of, held_out in (("whole", "none"), ("held_out", r"\d+")):

    rule:
        name:
            f"measure_{of}"
        input:
            weights=paths.pattern("weights"),
            activations=paths.pattern("activations"),
            stores=list(methods().values()),
            code=code_for_run(
                *{
                    f.measure.__module__
                    for f in RUN_FRAMES.values()
                    if f.of in ("all", of) and not f.on_demand
                }
            ),
        output:
            **{
                name: paths.pattern("frame", frame=name)
                for name, frame in RUN_FRAMES.items()
                if frame.of in ("all", of) and not frame.on_demand
            },
        log:
            paths.pattern("run_log", stage="analyses"),
        wildcard_constraints:
            held_out=held_out,
        conda:
            "../envs/analysis.yaml"
        resources:
            mem_mb=grow(2000),
            runtime=grow(20),
        params:
            methods=list(methods()),
        message:
            "Measuring {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
        script:
            "../scripts/measure_run.py"


rule measure_shuffled:
    # a null: ensembles found with shuffled labels
    input:
        stores=list(methods("shuffled").values()),
        code=code_for_run(
            *{f.measure.__module__ for f in RUN_FRAMES.values() if f.shuffled}
        ),
    output:
        **{
            name: paths.pattern("shuffled_frame", frame=name)
            for name, frame in RUN_FRAMES.items()
            if frame.shuffled
        },
    log:
        paths.pattern("run_log", stage="analyses-shuffled"),
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        methods=list(methods()),
    message:
        "Measuring with shuffled labels: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/measure_run.py"


rule measure_dissimilarities:
    # only of runs whose edition shows them, as are probes
    input:
        activations=paths.pattern("activations"),
        stores=[],
        code=code_for_run(RUN_FRAMES["dissimilarities"].measure.__module__),
    output:
        dissimilarities=paths.pattern("frame", frame="dissimilarities"),
    log:
        paths.pattern("run_log", stage="dissimilarities"),
    conda:
        "../envs/analysis.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        methods=[],
    message:
        "Dissimilarities of {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/measure_run.py"


rule measure_probes:
    input:
        data=kept(paths.pattern("data")),
        weights=paths.pattern("weights"),
        code=code_for_run(
            RUN_FRAMES["probes"].measure.__module__,
            "ffensembles.representations.unlabelled",
        ),
    output:
        probes=paths.pattern("frame", frame="probes"),
    log:
        paths.pattern("run_log", stage="probes"),
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=grow(3000),
        runtime=grow(30),
    params:
        recipe=of_run(lambda run: grid.recipe(run).as_json()),
        images=of_run(grid.images),
    message:
        "Probing {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/probes.py"


rule tidy_frame:
    input:
        files=lambda wildcards: paths.each(
            "shuffled_frame" if wildcards.scope == "shuffled/" else "frame",
            runs_of(wildcards),
            frame=measured(wildcards.file),
        ),
        listed=runs_listed(),
        code=code("ffensembles.analyses.tidy"),
    output:
        paths.pattern("tidy", file="{scope}{file}"),
    log:
        paths.pattern("log", stage="tidy-{scope}{file}"),
    wildcard_constraints:
        file=one_of(frame.file for frame in RUN_FRAMES.values()),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=lambda wildcards: keys(runs_of(wildcards)),
    message:
        "Putting together {wildcards.scope}{wildcards.file}"
    script:
        "../scripts/tidy_frame.py"


rule accuracy:
    input:
        files=lambda wildcards: paths.each("metadata", grid.some_runs(wildcards.scope)),
        listed=runs_listed(),
        code=code("ffensembles.analyses.accuracy", "ffensembles.training.metadata"),
    output:
        paths.pattern("tidy", file=f"{{scope}}{frame_file('accuracy')}"),
    log:
        paths.pattern("log", stage="tidy-{scope}accuracy"),
    conda:
        "../envs/analysis.yaml"
    params:
        fingerprints=lambda wildcards: fingerprints(grid.scope(wildcards.scope)),
    message:
        "Gathering accuracies"
    script:
        "../scripts/accuracy.py"


rule history:
    input:
        files=lambda wildcards: paths.each("history", grid.some_runs(wildcards.scope)),
        listed=runs_listed(),
        code=code("ffensembles.analyses.tidy"),
    output:
        paths.pattern("tidy", file=f"{{scope}}{frame_file('history')}"),
    log:
        paths.pattern("log", stage="tidy-{scope}history"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=lambda wildcards: keys(grid.scope(wildcards.scope)),
    message:
        "Gathering histories of training"
    script:
        "../scripts/history.py"


rule regression:
    input:
        sizes=tidy("sizes"),
        code=code("ffensembles.analyses.regression", "ffensembles.publication.numbers"),
    output:
        tidy("regression"),
    log:
        paths.one("log", stage="tidy-regression"),
    conda:
        "../envs/analysis.yaml"
    params:
        method2=study.config.ensembles.method2.model_dump(),
    message:
        "Regressing sizes by Method 1 on sizes by Method 2"
    script:
        "../scripts/regression.py"


rule compare_representations:
    input:
        files=paths.each("frame", editions.showing("rsa"), frame="dissimilarities"),
        listed=runs_listed(),
        code=code("ffensembles.analyses.dissimilarities", "ffensembles.analyses.tidy"),
    output:
        rsa=tidy("rsa"),
        ceilings=tidy("ceilings"),
    log:
        paths.one("log", stage="tidy-rsa"),
    conda:
        "../envs/analysis.yaml"
    resources:
        runtime=grow(30),
    params:
        runs=keys(editions.showing("rsa")),
    message:
        "Comparing representations across runs"
    script:
        "../scripts/rsa.py"


rule similarity:
    input:
        data=[kept(paths.one("data", dataset=name)) for name in study.config.datasets],
        code=code("ffensembles.analyses.similarity", "ffensembles.datasets.prepare"),
    output:
        tidy("similarity"),
    log:
        paths.one("log", stage="tidy-similarity"),
    conda:
        "../envs/training.yaml"
    params:
        images={
            name: grid.images(run)
            for name in study.config.datasets
            for run in grid.select(dataset=name)[:1]
        },
    message:
        "Measuring how similar classes are"
    script:
        "../scripts/similarity.py"


rule costs:
    # what runs have cost, from the benchmarks of their jobs; for information, no result depends on it
    input:
        metadata=paths.each("metadata", grid.runs),
        # all activations have been read by then; asking for them would read temporary ones again
        sizes=tidy("sizes"),
        code=code(
            "ffensembles.analyses.costs",
            "ffensembles.plotting.costs",
            "ffensembles.plotting.saving",
        ),
    output:
        **extra_figure("costs"),
        tidy=tidy("costs"),
        table=paths.one("extra_table", table="costs", ending="csv"),
        markdown=paths.one("extra_table", table="costs", ending="md"),
        html=paths.one("extra_table", table="costs", ending="html"),
    log:
        paths.one("log", stage="costs"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(grid.runs),
        # no inputs: where one is missing a run would be trained again to measure it
        benchmarks={
            "train": (
                [
                    paths.one("block_benchmark", run, seeds=grid.block(run))
                    for run in grid.runs
                ]
                if together
                else paths.each("run_benchmark", grid.runs, stage="training")
            ),
            "activations": paths.each(
                "run_benchmark", grid.runs, stage="representations"
            ),
        },
        titles=titles(),
    message:
        "Gathering what runs have cost"
    script:
        "../scripts/costs.py"
