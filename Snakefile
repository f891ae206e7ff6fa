# The study, from data to report; a table of contents.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/activations.smk"
include: "rules/ensembles.smk"
include: "rules/analyses.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/costs.smk"
include: "rules/report.smk"
include: "rules/reproduction.smk"
include: "rules/targets.smk"


rule all:
    default_target: True
    input:
        study.path("report"),
        study.stage("tables"),
        study.stage("figures"),
        study.stage("tidy"),
    localrule: True
