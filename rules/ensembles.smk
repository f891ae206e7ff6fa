# Ensembles: every registered method on every run, in one job.


rule find_ensembles:
    input:
        activations=paths.pattern("activations"),
        code=code("ffensembles.ensembles", "ffensembles.representations.store"),
    output:
        **methods(),
    log:
        paths.pattern("run_log", stage="ensembles"),
    conda:
        "../envs/analysis.yaml"
    threads: 1
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        parameters=study.config.ensembles.model_dump(),
        shuffle=False,
    message:
        "Finding ensembles: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/find_ensembles.py"


use rule find_ensembles as find_shuffled with:
    # a null: the same, labels permuted over presentations
    output:
        **methods("shuffled"),
    log:
        paths.pattern("run_log", stage="ensembles-shuffled"),
    params:
        parameters=study.config.ensembles.model_dump(),
        shuffle=True,
    message:
        "The same with shuffled labels: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
