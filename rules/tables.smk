# Tables 1 to 3, each cell beside the published value.


rule draw_table1:
    input:
        frame=study.path("tidy", frame="accuracy"),
        code=code("ffensembles.publication.tables"),
    output:
        study.stage("table1"),
    log:
        study.path("log", stage="table1"),
    conda:
        "../envs/analysis.yaml"
    params:
        titles={name: study.label(name)["title"] for name in study.config.datasets},
    message:
        "Table 1: accuracy"
    script:
        "../scripts/table1.py"


rule draw_table2:
    input:
        frame=study.path("tidy", frame="sizes"),
        code=code("ffensembles.publication.tables"),
    output:
        study.stage("table2"),
    log:
        study.path("log", stage="table2"),
    conda:
        "../envs/analysis.yaml"
    params:
        titles={name: study.label(name)["title"] for name in study.config.datasets},
        quantile=study.config.tables.table2.quantile,
    message:
        "Table 2: sizes of ensembles"
    script:
        "../scripts/table2.py"


rule draw_table3:
    input:
        frame=study.path("tidy", frame="positive_weights"),
        code=code("ffensembles.publication.tables"),
    output:
        study.stage("table3"),
    log:
        study.path("log", stage="table3"),
    conda:
        "../envs/analysis.yaml"
    params:
        titles={name: study.label(name)["title"] for name in study.config.datasets},
    message:
        "Table 3: fraction of positive weights"
    script:
        "../scripts/table3.py"
