# What runs have cost, from the benchmarks of their jobs; for information, nothing rests on it.


rule costs:
    input:
        metadata=study.paths("metadata", study.runs),
        # all activations have been read by then; asking for them would read temporary ones anew
        sizes=study.path("tidy", frame="sizes"),
        code=code(
            "ffensembles.analyses.costs",
            "ffensembles.plotting.costs",
            "ffensembles.plotting.saving",
        ),
    output:
        tidy=study.path("tidy", frame="costs"),
        table=study.path("table", table="costs", ending="csv"),
        markdown=study.path("table", table="costs", ending="md"),
        pdf=study.path("figure", figure="costs", variant="", ending="pdf"),
        png=study.path("figure", figure="costs", variant="", ending="png"),
        rst=study.path("figure", figure="costs", variant="", ending="rst"),
    log:
        study.path("log", stage="costs"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(study.runs),
        # no inputs: where one is missing a run would be trained again to measure it
        benchmarks={
            "train": (
                [
                    study.path("block_benchmark", run, seeds=study.block(run))
                    for run in study.runs
                ]
                if together
                else study.paths("run_benchmark", study.runs, stage="train")
            ),
            "activations": study.paths(
                "run_benchmark", study.runs, stage="activations"
            ),
        },
        titles={name: study.label(name)["title"] for name in study.config.datasets},
    message:
        "Gathering what runs have cost"
    script:
        "../scripts/costs.py"
