# The report: Snakemake's own HTML page with tables, figures and their captions.


rule report_contents:
    input:
        [
            captioned(
                paths.one("table", edition=edition, table=table, ending="csv"),
                f"Tables, edition {edition}",
                table=f"{table}: {entry.kind.replace('_', ' ')}",
            )
            for edition in editions.all
            for table, entry in editions.tables(edition).items()
        ],
        [
            captioned(
                paths.one(
                    "figure",
                    edition=edition,
                    figure=figure,
                    variant=variant,
                    ending="png",
                ),
                f"Figures, edition {edition}",
                figure=f"{figure}: {KINDS[entry.kind].title}",
                data=", ".join(titles()[name] for name in shows.datasets),
            )
            for edition in editions.all
            for figure, entry in editions.figures(edition).items()
            for variant, shows in editions.variants(edition, figure).items()
        ],
        captioned(
            paths.one("extra_figure", figure="costs", ending="png"),
            "Costs",
            figure="costs",
        ),
        report(paths.one("extra_table", table="costs", ending="csv"), category="Costs"),
    # never run: Snakemake's report shows the inputs of this rule, with captions made by the run itself
    localrule: True


rule write_configuration:
    output:
        paths.one("configuration"),
    log:
        paths.one("log", stage="configuration"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        config=config,
    message:
        "Writing the whole configuration"
    script:
        "../scripts/configuration.py"


rule make_report:
    input:
        editions.every("tables"),
        editions.every("figures"),
        tidy_files(),
        rules.costs.output,
        configuration=rules.write_configuration.output[0],
    output:
        paths.one("report"),
    log:
        paths.one("log", stage="report"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    params:
        snakefile=str(ROOT / "Snakefile"),
    message:
        "Making the report"
    script:
        "../scripts/make_report.py"
