# The study, from data to report: a table of contents. One rules file for each stage.
from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.current_basedir}/config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/training.smk"
include: "rules/representations.smk"
include: "rules/ensembles.smk"
include: "rules/analyses.smk"
include: "rules/publication.smk"
include: "rules/extensions.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/targets.smk"


# written by rule make_report, before it calls Snakemake for the report
report: os.path.abspath(paths.one("landing"))


rule all:
    default_target: True
    input:
        paths.one("report"),
        editions.every("tables"),
        editions.every("figures"),
        tidy_files(),
        study.extensions.chosen,
    localrule: True


onsuccess:
    if workflow.is_main_process:
        print_summary(study, configuration_files())
