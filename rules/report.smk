# The report: Snakemake's own HTML page with tables, figures and their captions.


rule report_contents:
    input:
        [
            captioned(
                paths.one("table", edition=edition, table=table, ending="html"),
                f"Tables, edition {edition}",
                table=in_words(table),
                shows=editions.shows(edition, table),
                rule="make_table",
            )
            for edition in editions.all
            for table in editions.tables(edition)
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
                figure=in_words(figure),
                shows=editions.shows(edition, figure),
                data=", ".join(titles()[name] for name in shown.datasets),
                rule="draw_figure",
            )
            for edition in editions.all
            for figure in editions.figures(edition)
            for variant, shown in editions.variants(edition, figure).items()
        ],
        captioned(
            paths.one("extra_figure", figure="costs", ending="png"),
            "Costs",
            shows="Time and memory of runs, by step",
            rule="costs",
        ),
        report(
            paths.one("extra_table", table="costs", ending="html"),
            category="Costs",
            labels={"shows": "Table of time and memory of runs", "rule": "costs"},
        ),
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


# The report is made by Snakemake, which an environment for jobs need not hold: by the one that runs this.
os.environ.setdefault("FFENSEMBLES_PYTHON", sys.executable)


rule make_report:
    input:
        editions.every("tables"),
        editions.every("figures"),
        tidy_files(),
        rules.costs.output,
        configuration=rules.write_configuration.output[0],
        code=code("ffensembles.study.landing"),
        page=[
            kept(os.path.relpath(ROOT / "report" / name))
            for name in ("workflow.rst", "report.css")
        ],
    output:
        report=paths.one("report"),
        landing=paths.one("landing"),
    log:
        paths.one("log", stage="report"),
    localrule: True
    conda:
        "../envs/analysis.yaml"
    message:
        "Making the report"
    script:
        "../scripts/make_report.py"
