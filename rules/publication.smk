# Publication: tables beside the published values, the sweep of what was never published, the page that compares.


rule make_table:
    input:
        frame=lambda wildcards: tidy(table_frame(wildcards)),
        code=lambda wildcards: code(
            "ffensembles.publication.tables",
            "ffensembles.publication.editions",
            *code_of_table(table_entry(wildcards).kind),
        ),
    output:
        [paths.pattern("table", ending=ending) for ending in ENDINGS],
    log:
        paths.pattern("log", stage="tables/{edition}/{table}"),
    conda:
        "../envs/analysis.yaml"
    params:
        parameters=lambda wildcards: table_entry(wildcards).model_dump(),
        protocol=lambda wildcards: study.config.editions[wildcards.edition].protocol,
        rows=lambda wildcards: rows_of(table_frame(wildcards), grid.runs),
        titles=titles(),
    message:
        "Making {wildcards.table} of edition {wildcards.edition}"
    script:
        "../scripts/make_table.py"


rule cuts:
    # Method 2 with other cuts, on what it found with the configured one
    input:
        files=paths.each("ensembles", grid.cut_runs, method="method2"),
        code=code(
            "ffensembles.publication.sweep",
            "ffensembles.analyses.sizes",
            "ffensembles.analyses.unseen",
        ),
    output:
        **cut_files,
    log:
        paths.one("log", stage="tidy-cuts"),
    conda:
        "../envs/analysis.yaml"
    params:
        runs=keys(grid.cut_runs),
        cuts=cuts(study.config.sweep),
    message:
        "Cutting Method 2's diagram elsewhere"
    script:
        "../scripts/cuts.py"


rule sweep_scores:
    input:
        accuracy=tidy("accuracy", "sweep/"),
        positive_weights=tidy("positive_weights", "sweep/"),
        sizes=with_cuts("sizes"),
        unseen=with_cuts("unseen") if without(grid.cut_runs) else [],
        code=code("ffensembles.publication.sweep"),
    output:
        tidy("sweep"),
    log:
        paths.one("log", stage="tidy-sweep"),
    conda:
        "../envs/analysis.yaml"
    params:
        settings=setting_texts(study.config.sweep),
        base=study.config.sweep.protocol,
        method2=study.config.ensembles.method2.model_dump(),
        cuts=cuts(study.config.sweep),
    message:
        "Scoring the sweep against the published values"
    script:
        "../scripts/sweep_scores.py"


rule compare:
    # reads results of its own configuration, made elsewhere and never made by this rule, unless
    # `reproduction.results` is null
    input:
        **compared_frames(),
        configuration=compared.one("configuration"),
        sweeps=[
            sweep.one("tidy", file=frame_file("sweep")) for sweep in compared_sweeps
        ],
        # what they were made with
        swept=[sweep.one("configuration") for sweep in compared_sweeps],
        code=code(
            "ffensembles.publication.page",
            "ffensembles.plotting.tried",
            "ffensembles.plotting.saving",
        ),
    output:
        page=paths.pattern("reproduction", file="reproduction.md"),
        numbers=paths.pattern("reproduction", file="numbers.csv"),
        claims=paths.pattern("reproduction", file="claims.csv"),
        # its name has the edition, so that the pages of several can lie in one folder
        figure=[
            paths.pattern("reproduction", file=f"tried-{{edition}}.{ending}")
            for ending in FIGURE_ENDINGS
        ],
    log:
        paths.pattern("log", stage="reproduction-{edition}"),
    conda:
        "../envs/analysis.yaml"
    params:
        frames=list(compared_frames()),
        # files of another folder may be older than the page
        folders=[one.results for one in (compared, *compared_sweeps)],
        titles={name: entry.title for name, entry in DATASETS.items()},
    message:
        "Comparing every published number of edition {wildcards.edition} with ours"
    script:
        "../scripts/reproduction.py"
