# Representations: every hidden layer of every trained run on the test images.


rule read_activations:
    input:
        data=kept(paths.pattern("data")),
        weights=paths.pattern("weights"),
        code=code_for_run("ffensembles.representations.readout"),
    output:
        (
            temp(paths.pattern("activations"))
            if study.config.activations.temporary
            else paths.pattern("activations")
        ),
    log:
        paths.pattern("run_log", stage="representations"),
    benchmark:
        paths.pattern("run_benchmark", stage="representations")
    conda:
        training_environment
    threads: 1
    resources:
        mem_mb=grow(3000),
        runtime=grow(20),
    params:
        recipe=of_run(lambda run: grid.recipe(run).as_json()),
        images=of_run(grid.images),
        unseen_label=of_run(grid.unseen_label),
        mantissa_bits=study.config.activations.mantissa_bits,
    message:
        "Reading activations of {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/read_activations.py"


rule sample_activations:
    # a few images of each class: what figures are drawn from, small enough to keep
    input:
        activations=paths.pattern("activations"),
        code=code(
            "ffensembles.representations.sample", "ffensembles.representations.store"
        ),
    output:
        paths.pattern("sample"),
    log:
        paths.pattern("run_log", stage="sample"),
    conda:
        "../envs/analysis.yaml"
    params:
        per_class=study.config.activations.sample,
    message:
        "Drawing a sample of activations: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/sample_activations.py"
