# Training: one run per (protocol, model, data set, seed, held-out class).


rule train_block:
    # runs that differ in their seed alone, in one job; each is kept, and `train_run` takes it
    input:
        data=study.pattern("data"),
        code=code_for_data("ffensembles.training.run"),
    output:
        study.pattern("block"),
    log:
        study.pattern("block_log"),
    benchmark:
        study.pattern("block_benchmark")
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(120),
        gpu=0 if study.config.training.device == "cpu" else 1,
    params:
        runs=of_block(keys),
        recipe=of_block(lambda runs: study.recipe(runs[0]).as_json()),
        images=of_block(lambda runs: images(runs[0])),
        checkpoints=of_block(lambda runs: study.paths("checkpoint", runs)),
        kept=study.path("kept"),
    message:
        "Training {wildcards.model} on {wildcards.dataset}, held out: {wildcards.held_out}, seeds {wildcards.seeds}"
    script:
        "../scripts/train_block.py"


rule train_run:
    input:
        data=study.pattern("data"),
        block=block,
        code=code_for_data("ffensembles.training.run"),
    output:
        weights=study.pattern("weights"),
        history=study.pattern("history"),
        metadata=study.pattern("metadata"),
    log:
        study.pattern("run_log", stage="train"),
    benchmark:
        study.pattern("run_benchmark", stage="train")
    localrule: together
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=grow(4000),
        runtime=grow(120),
        gpu=0 if together or study.config.training.device == "cpu" else 1,
    params:
        recipe=of_run(lambda run: study.recipe(run).as_json()),
        images=of_run(images),
        checkpoint=study.pattern("checkpoint"),
        kept=study.path("kept"),
    message:
        "Training {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/train_run.py"
