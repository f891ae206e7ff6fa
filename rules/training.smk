# Training: one run for each (protocol, model, data set, seed, held-out class).


rule train_block:
    # runs that differ in their seed alone, in one job; each goes to the cache, where `train_run` finds it
    input:
        data=kept(paths.pattern("data")),
        code=code_for_run("ffensembles.training.run"),
    output:
        paths.pattern("block"),
    log:
        paths.pattern("block_log"),
    benchmark:
        paths.pattern("block_benchmark")
    conda:
        training_environment
    threads: 1
    resources:
        mem_mb=training_resource("mem_mb", grid.block_runs),
        runtime=training_resource("runtime", grid.block_runs),
        gpu=0 if study.config.training.device == "cpu" else 1,
    params:
        runs=of_block(keys),
        recipe=of_block(lambda runs: grid.recipe(runs[0]).as_json()),
        images=of_block(lambda runs: grid.images(runs[0])),
        checkpoints=of_block(lambda runs: paths.each("checkpoint", runs)),
        cache=paths.one("cache"),
    message:
        "Training {wildcards.model} on {wildcards.dataset}, held out: {wildcards.held_out}, seeds {wildcards.seeds}"
    script:
        "../scripts/train_block.py"


rule train_run:
    input:
        data=kept(paths.pattern("data")),
        block=block,
        code=code_for_run("ffensembles.training.run"),
    output:
        weights=paths.pattern("weights"),
        history=paths.pattern("history"),
        metadata=paths.pattern("metadata"),
    log:
        paths.pattern("run_log", stage="training"),
    benchmark:
        paths.pattern("run_benchmark", stage="training")
    localrule: together
    conda:
        training_environment
    threads: 1
    resources:
        mem_mb=training_resource("mem_mb", one_run),
        runtime=training_resource("runtime", one_run),
        gpu=0 if together or study.config.training.device == "cpu" else 1,
    params:
        recipe=of_run(lambda run: grid.recipe(run).as_json()),
        images=of_run(grid.images),
        checkpoint=paths.pattern("checkpoint"),
        cache=paths.one("cache"),
    message:
        "Training {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}, held out: {wildcards.held_out}"
    script:
        "../scripts/train_run.py"
