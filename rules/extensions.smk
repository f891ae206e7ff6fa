# Extensions: what goes beyond the study. One rule measures each on every run, one puts the runs together; tables
# and figures are made by the rules of editions.


rule measure_extension:
    input:
        unpack(extension_inputs),
        code=lambda wildcards: code_for_run(
            "ffensembles.extensions.runs", EXTENSIONS[wildcards.extension].module
        )(wildcards),
    output:
        paths.pattern("extension"),
    log:
        paths.pattern("run_log", stage="extensions/{extension}"),
    conda:
        "../envs/extensions.yaml"
    threads: 1
    resources:
        mem_mb=extension_resource("memory"),
        runtime=extension_resource("minutes"),
    params:
        recipe=of_run(lambda run: grid.recipe(run).as_json()),
        images=of_run(grid.images),
        parameters=lambda wildcards: study.extensions.parameters(
            wildcards.extension, Run.from_wildcards(wildcards)
        ),
        methods=study.config.ensembles.model_dump(),
    message:
        "Measuring {wildcards.extension}: {wildcards.model} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/measure_extension.py"


rule tidy_extension:
    input:
        files=lambda wildcards: paths.each(
            "extension",
            study.extensions.some_runs(wildcards.extension),
            extension=wildcards.extension,
        ),
        listed=runs_listed(),
        code=code("ffensembles.analyses.tidy"),
    output:
        paths.pattern("tidy", file="extensions/{extension}.parquet"),
    log:
        paths.pattern("log", stage="tidy-extensions-{extension}"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=lambda wildcards: keys(study.extensions.some_runs(wildcards.extension)),
    message:
        "Putting together {wildcards.extension}"
    script:
        "../scripts/tidy_frame.py"


rule beyond:
    # one paragraph for each extension, from frames that this rule never makes unless they are the study's own
    input:
        **compared_extensions(),
        code=code("ffensembles.extensions.page", "ffensembles.extensions"),
    output:
        paths.one("beyond"),
    log:
        paths.one("log", stage="beyond"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        frames=list(compared_extensions()),
        folders=[compared.results],  # files of another one may be older than the page
        titles={name: entry.title for name, entry in DATASETS.items()},
    message:
        "Writing what goes beyond the study"
    script:
        "../scripts/beyond.py"
