# Tidy frames: one row per run, layer, category, method; for tables, figures and whoever wants more.


rule accuracy:
    input:
        files=study.paths("metadata", study.runs),
        code=code("ffensembles.analyses.accuracy", "ffensembles.analyses.tidy"),
    output:
        study.path("tidy", frame="accuracy"),
    log:
        study.path("log", stage="tidy-accuracy"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(study.runs),
    message:
        "Gathering accuracies"
    script:
        "../scripts/accuracy.py"


rule sizes:
    input:
        files=[
            study.paths("ensembles", study.runs, method=method) for method in METHODS
        ],
        code=code(
            "ffensembles.analyses.sizes",
            "ffensembles.analyses.tidy",
            "ffensembles.store",
        ),
    output:
        study.path("tidy", frame="sizes"),
    log:
        study.path("log", stage="tidy-sizes"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(study.runs) * len(METHODS),
    message:
        "Gathering sizes of ensembles"
    script:
        "../scripts/sizes.py"


rule positive_weights:
    input:
        files=study.paths("weights", study.whole_runs),
        code=code("ffensembles.analyses.weights", "ffensembles.analyses.tidy"),
    output:
        by_layer=study.path("tidy", frame="positive_weights"),
        by_unit=study.path("tidy", frame="positive_weights_by_unit"),
    log:
        study.path("log", stage="tidy-positive_weights"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(study.whole_runs),
    message:
        "Counting positive weights"
    script:
        "../scripts/positive_weights.py"


rule sharing:
    input:
        files=study.paths("ensembles", study.whole_runs, method="method1"),
        code=code(
            "ffensembles.analyses.sharing",
            "ffensembles.analyses.tidy",
            "ffensembles.store",
        ),
    output:
        study.path("tidy", frame="sharing"),
    log:
        study.path("log", stage="tidy-sharing"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(study.whole_runs),
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
        files=study.paths("ensembles", study.held_out_runs, method="method2"),
        code=code(
            "ffensembles.analyses.unseen",
            "ffensembles.analyses.tidy",
            "ffensembles.store",
        ),
    output:
        study.path("tidy", frame="unseen"),
    log:
        study.path("log", stage="tidy-unseen"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(study.held_out_runs),
    message:
        "Measuring the response to unseen classes"
    script:
        "../scripts/unseen.py"
