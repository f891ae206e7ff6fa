# Ensembles: every method of `ffensembles.ensembles.METHODS` that results ask for, on every run.


rule find_ensembles:
    input:
        activations=study.pattern("activations"),
        code=code("ffensembles.ensembles", "ffensembles.store"),
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
    message:
        "Finding ensembles by {wildcards.method}: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/find_ensembles.py"
