# Representations of the test images, read out of every trained run.


rule read_activations:
    input:
        data=study.pattern("data"),
        weights=study.pattern("weights"),
        code=code_for_data("ffensembles.representations.readout"),
    output:
        temp(study.pattern("activations"))
        if study.config.activations.temporary
        else study.pattern("activations"),
    log:
        study.pattern("run_log", stage="activations"),
    benchmark:
        study.pattern("run_benchmark", stage="activations")
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=grow(3000),
        runtime=grow(20),
    params:
        recipe=of_run(lambda run: study.recipe(run).as_json()),
        images=of_run(images),
        unseen_label=of_run(study.unseen_label),
        mantissa_bits=study.config.activations.mantissa_bits,
    message:
        "Reading activations of {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/read_activations.py"
