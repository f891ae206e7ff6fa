# The report: Snakemake's own HTML page with tables, figures and their captions.


rule report_contents:
    input:
        [
            report(
                study.path("table", table=table, ending="csv"),
                caption=os.path.abspath(
                    study.path("table", table=table, ending="rst")
                ),
                category="1 Tables",
                labels={"table": table.removeprefix("table")},
            )
            for table in TABLES
        ],
        [
            report(
                study.path("figure", figure=figure, variant=variant, ending="png"),
                caption=os.path.abspath(
                    study.path("figure", figure=figure, variant=variant, ending="rst")
                ),
                category="2 Figures",
                labels={
                    "figure": figure.removeprefix("figure"),
                    "data": ", ".join(
                        study.label(name)["title"] for name in shows.datasets
                    ),
                    "protocol": shows.protocol,
                },
            )
            for figure in study.figures
            for variant, shows in study.figure_variants(figure).items()
        ],
        report(
            study.path("figure", figure="costs", variant="", ending="png"),
            caption=os.path.abspath(
                study.path("figure", figure="costs", variant="", ending="rst")
            ),
            category="3 Costs",
        ),
        report(
            study.path("table", table="costs", ending="csv"),
            category="3 Costs",
        ),
    # never run: Snakemake's report shows what this rule names, with captions made by the run itself
    localrule: True


rule write_configuration:
    output:
        study.path("configuration"),
    log:
        study.path("log", stage="configuration"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        config=config,
    message:
        "Writing down the whole configuration"
    script:
        "../scripts/configuration.py"


rule make_report:
    input:
        study.stage("tables"),
        study.stage("figures"),
        study.stage("tidy"),
        rules.costs.output,
        configuration=rules.write_configuration.output[0],
    output:
        study.path("report"),
    log:
        study.path("log", stage="report"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    message:
        "Making the report"
    script:
        "../scripts/make_report.py"
