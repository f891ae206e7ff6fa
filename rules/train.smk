# Training: one run per (protocol, model, data set, seed, held-out class).


rule train_run:
    input:
        data=study.pattern("data"),
        code=code_for_data("ffensembles.training"),
    output:
        weights=study.pattern("weights"),
        history=study.pattern("history"),
        metadata=study.pattern("metadata"),
    log:
        study.pattern("run_log", stage="train"),
    benchmark:
        study.pattern("run_benchmark", stage="train")
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(120),
        gpu=0 if study.config.training.device == "cpu" else 1,
    params:
        recipe=of_run(lambda run: study.recipe(run).as_json()),
        images=of_run(images),
        checkpoint=study.pattern("checkpoint"),
    message:
        "Training {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/train_run.py"
