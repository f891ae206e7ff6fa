# Ensembles: every method of `ffensembles.ensembles.METHODS` that results ask for, on every run.


rule find_ensembles:
    input:
        activations=study.pattern("activations"),
        code=code("ffensembles.ensembles", "ffensembles.representations.store"),
    output:
        study.pattern("ensembles"),
    log:
        study.pattern("run_log", stage="{method}"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        parameters=lambda w: study.config.ensembles.model_dump()[w.method],
        shuffle=False,
    message:
        "Finding ensembles by {wildcards.method}: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/find_ensembles.py"


use rule find_ensembles as find_shuffled with:
    # a null: the same, labels permuted over presentations
    output:
        study.pattern("shuffled"),
    log:
        study.pattern("run_log", stage="shuffled-{method}"),
    params:
        parameters=lambda w: study.config.ensembles.model_dump()[w.method],
        shuffle=True,
    message:
        "The same with shuffled labels, by {wildcards.method}: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
