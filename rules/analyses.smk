# Tidy frames: one row per run, layer, category, method; for tables, figures and whoever wants more.
# A scope says of which runs: the study's, untrained nets, the study's with labels shuffled, the sweep's.


rule accuracy:
    input:
        files=of_scope(lambda runs, _: study.paths("metadata", runs)),
        code=code("ffensembles.analyses.accuracy", "ffensembles.analyses.tidy"),
    output:
        study.pattern("tidy", frame="{scope}accuracy"),
    log:
        study.pattern("log", stage="tidy-{scope}accuracy"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=of_scope(lambda runs, _: keys(runs)),
    message:
        "Gathering accuracies"
    script:
        "../scripts/accuracy.py"


rule sizes:
    input:
        files=of_scope(
            lambda runs, kind: [
                path
                for method in METHODS
                for path in study.paths(kind, runs, method=method)
            ]
        ),
        code=code(
            "ffensembles.analyses.sizes",
            "ffensembles.analyses.tidy",
            "ffensembles.representations.store",
        ),
    output:
        study.pattern("tidy", frame="{scope}sizes"),
    log:
        study.pattern("log", stage="tidy-{scope}sizes"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=of_scope(lambda runs, _: keys(runs) * len(METHODS)),
    message:
        "Gathering sizes of ensembles"
    script:
        "../scripts/sizes.py"


rule positive_weights:
    input:
        files=of_scope(lambda runs, _: study.paths("weights", whole(runs))),
        code=code("ffensembles.analyses.weights", "ffensembles.analyses.tidy"),
    output:
        by_layer=study.pattern("tidy", frame="{scope}positive_weights"),
        by_unit=study.pattern("tidy", frame="{scope}positive_weights_by_unit"),
    log:
        study.pattern("log", stage="tidy-{scope}positive_weights"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=of_scope(lambda runs, _: keys(whole(runs))),
    message:
        "Counting positive weights"
    script:
        "../scripts/positive_weights.py"


rule sharing:
    input:
        files=of_scope(
            lambda runs, kind: study.paths(kind, whole(runs), method="method1")
        ),
        code=code(
            "ffensembles.analyses.sharing",
            "ffensembles.analyses.tidy",
            "ffensembles.representations.store",
        ),
    output:
        study.pattern("tidy", frame="{scope}sharing"),
    log:
        study.pattern("log", stage="tidy-{scope}sharing"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=of_scope(lambda runs, _: keys(whole(runs))),
        quantile=study.config.figures.figure3.quantile,
    message:
        "Counting units that ensembles share"
    script:
        "../scripts/sharing.py"


rule regression:
    input:
        sizes=study.path("tidy", frame="sizes"),
        code=code("ffensembles.analyses.regression", "ffensembles.analyses.tidy"),
    output:
        study.path("tidy", frame="regression"),
    log:
        study.path("log", stage="tidy-regression"),
    conda:
        "../envs/analysis.yaml"
    params:
        quantile=study.config.figures.figure8.quantile,
    message:
        "Regressing sizes by Method 1 on sizes by Method 2"
    script:
        "../scripts/regression.py"


rule unseen:
    input:
        files=of_scope(
            lambda runs, kind: study.paths(kind, without(runs), method="method2")
        ),
        code=code(
            "ffensembles.analyses.unseen",
            "ffensembles.analyses.tidy",
            "ffensembles.representations.store",
        ),
    output:
        study.pattern("tidy", frame="{scope}unseen"),
    log:
        study.pattern("log", stage="tidy-{scope}unseen"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=of_scope(lambda runs, _: keys(without(runs))),
    message:
        "Measuring the response to unseen classes"
    script:
        "../scripts/unseen.py"


rule similarity:
    input:
        data=[study.path("data", dataset=name) for name in study.config.datasets],
        code=code("ffensembles.analyses.similarity", "ffensembles.datasets.prepare"),
    output:
        study.path("tidy", frame="similarity"),
    log:
        study.path("log", stage="tidy-similarity"),
    conda:
        "../envs/training.yaml"
    params:
        recipe=study.recipe(study.runs[0]).as_json(),
        images={
            name: images(study.select(dataset=name)[0])
            for name in study.config.datasets
        },
    message:
        "Measuring how similar classes are"
    script:
        "../scripts/similarity.py"


rule cuts:
    # Method 2 with other cuts, on what it found with the configured one
    input:
        files=study.paths("ensembles", study.cut_runs, method="method2"),
        code=code(
            "ffensembles.publication.sweep",
            "ffensembles.analyses.sizes",
            "ffensembles.analyses.unseen",
            "ffensembles.representations.store",
        ),
    output:
        **{
            name: study.path("tidy", frame=f"sweep/cut_{name}")
            for name, runs in (
                ("sizes", whole(study.cut_runs)),
                ("unseen", without(study.cut_runs)),
            )
            if runs
        },
    log:
        study.path("log", stage="tidy-cuts"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(study.cut_runs),
        cuts=study.cuts,
    message:
        "Cutting Method 2's diagram elsewhere"
    script:
        "../scripts/cuts.py"


rule sweep_scores:
    input:
        accuracy=study.path("tidy", frame="sweep/accuracy"),
        positive_weights=study.path("tidy", frame="sweep/positive_weights"),
        sizes=[
            study.path("tidy", frame=f"sweep/{name}")
            for name in ("sizes", "cut_sizes")[: 1 + bool(study.cuts)]
        ],
        unseen=[
            study.path("tidy", frame=f"sweep/{name}")
            for name in ("unseen", "cut_unseen")[: 1 + bool(study.cuts)]
            if without(study.cut_runs)
        ],
        code=code("ffensembles.publication.sweep"),
    output:
        study.path("tidy", frame="sweep"),
    log:
        study.path("log", stage="tidy-sweep"),
    conda:
        "../envs/analysis.yaml"
    params:
        settings=study.setting_texts,
        base=study.config.protocols[0],
        held_out=study.config.figures.figure4.held_out,
    message:
        "Scoring the sweep against the published values"
    script:
        "../scripts/sweep_scores.py"
