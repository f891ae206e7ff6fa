# Data sets: downloaded and checked once, where the workflow itself runs.


rule fetch:
    output:
        paths.pattern("data"),
    log:
        paths.pattern("log", stage="fetch-{dataset}"),
    localrule: True
    conda:
        "../envs/training.yaml"
    params:
        dataset="{dataset}",
    message:
        "Fetching {wildcards.dataset}"
    script:
        "../scripts/fetch.py"
