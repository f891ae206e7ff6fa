# Data sets: fetched and checked once, where the workflow itself runs.


rule fetch:
    output:
        study.pattern("data"),
    log:
        study.pattern("log", stage="fetch-{dataset}"),
    localrule: True
    conda:
        "../envs/training.yaml"
    params:
        name="{dataset}",
    message:
        "Fetching {wildcards.dataset}"
    script:
        "../scripts/fetch.py"
