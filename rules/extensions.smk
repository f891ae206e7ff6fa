# Extensions: what goes beyond the study. One rule measures each on every run, one puts the runs together; tables
# and figures are made by the rules of editions.


def code_of_table(table):
    """Return the modules that make a table of an extension; none for another table."""
    return [EXTENSIONS[table].module] if table in EXTENSIONS else []


def extension_inputs(wildcards):
    """Return the files of a run that an extension reads, by what they are."""
    run = Run.from_wildcards(wildcards)
    found = {}
    for name in EXTENSIONS[wildcards.extension].needs:
        if name == "data":
            found[name] = kept(paths.one("data", dataset=run.dataset))
        elif name == "ensembles":
            found["stores"] = [
                paths.one("ensembles", run, method=method) for method in methods()
            ]
        else:
            found[name] = paths.one(name, run)
    return found


def extension_resource(name):
    """Return a resource of a job that measures an extension, more with every attempt."""
    return (
        lambda wildcards, attempt: getattr(EXTENSIONS[wildcards.extension], name)
        * attempt
    )


rule measure_extension:
    input:
        unpack(extension_inputs),
        code=lambda wildcards: code_for_data(
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


def judged_extensions():
    """Return the frames of extensions of the results that are judged, by name.

    Of results made elsewhere those that there are; of this study's own those it includes.
    """
    own = study.config.reproduction.results is None
    names = study.config.extensions if own else EXTENSIONS
    files = {name: f"{judged}/tidy/{frame_file(name)}" for name in names}
    return {name: file for name, file in files.items() if own or Path(file).exists()}


rule beyond:
    # one paragraph for each extension, from frames that this rule never makes unless they are the study's own
    input:
        **judged_extensions(),
        code=code("ffensembles.extensions.page", "ffensembles.extensions"),
    output:
        paths.one("beyond"),
    log:
        paths.one("log", stage="beyond"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        frames=list(judged_extensions()),
        titles={name: entry.title for name, entry in DATASETS.items()},
    message:
        "Writing what goes beyond the study"
    script:
        "../scripts/beyond.py"
