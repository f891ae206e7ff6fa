# What one may ask for by name beside `all`: one stage, one table, one figure.


rule train:
    input:
        study.paths("weights", study.runs),
    localrule: True


rule activations:
    input:
        study.paths("activations", study.runs),
    localrule: True


rule ensembles:
    input:
        [
            study.paths("ensembles", study.runs, method=method)
            for method in study.methods
        ],
    localrule: True


for stage in ("tidy", "tables", "figures", *TABLES, *study.figures):

    rule:
        name:
            stage
        input:
            study.stage(stage),
        localrule: True


rule report:
    input:
        study.path("report"),
    localrule: True
