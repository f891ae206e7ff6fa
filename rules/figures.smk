# Figures 1 to 8: each its own rule and script; a variant for each data set or protocol beside the first.


rule draw_figure1:
    input:
        activations=example("figure1", "activations"),
        method1=example("figure1", "ensembles", method="method1"),
        code=code("ffensembles.plotting.figure1", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure1"),
    log:
        study.pattern("log", stage="figure1{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure1"),
        shown=shown("figure1", "quantile", "layer"),
    message:
        "Figure 1: activation patterns"
    script:
        "../scripts/figure1.py"


rule draw_figure2:
    input:
        sizes=study.path("tidy", frame="sizes"),
        code=code("ffensembles.plotting.figure2", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure2"),
    log:
        study.pattern("log", stage="figure2{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure2"),
        protocol=protocol("figure2"),
        shown=shown("figure2", "quantile"),
    message:
        "Figure 2: sizes of ensembles by class"
    script:
        "../scripts/figure2.py"


rule draw_figure3:
    input:
        method1=example("figure3", "ensembles", method="method1"),
        sharing=study.path("tidy", frame="sharing"),
        code=code("ffensembles.plotting.figure3", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure3"),
    log:
        study.pattern("log", stage="figure3{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure3"),
        shown=shown("figure3", "quantile", "categories", "layer"),
    message:
        "Figure 3: shared units"
    script:
        "../scripts/figure3.py"


rule draw_figure4:
    input:
        activations=example("figure4", "activations"),
        method2=example("figure4", "ensembles", method="method2"),
        unseen=study.path("tidy", frame="unseen"),
        code=code("ffensembles.plotting.figure4", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure4"),
    log:
        study.pattern("log", stage="figure4{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure4"),
        shown=shown("figure4", "layer"),
    message:
        "Figure 4: an unseen class"
    script:
        "../scripts/figure4.py"


rule draw_figure5:
    input:
        activations=example("figure5", "activations"),
        code=code("ffensembles.plotting.figure5", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure5"),
    log:
        study.pattern("log", stage="figure5{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure5"),
        shown=shown("figure5", "layer"),
    message:
        "Figure 5: activation map of layer 2"
    script:
        "../scripts/figure5.py"


rule draw_figure6:
    input:
        activations=example("figure6", "activations"),
        code=code("ffensembles.plotting.figure6", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure6"),
    log:
        study.pattern("log", stage="figure6{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure6"),
        shown=shown("figure6", "layer"),
    message:
        "Figure 6: activation map of layer 3"
    script:
        "../scripts/figure6.py"


rule draw_figure7:
    input:
        by_unit=study.path("tidy", frame="positive_weights_by_unit"),
        code=code("ffensembles.plotting.figure7", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure7"),
    log:
        study.pattern("log", stage="figure7{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure7"),
        protocol=protocol("figure7"),
        shown=shown("figure7", "layer"),
        bins=study.config.figures.figure7.bins,
    message:
        "Figure 7: negative weights by unit"
    script:
        "../scripts/figure7.py"


rule draw_figure8:
    input:
        method1=example("figure8", "ensembles", method="method1"),
        method2=example("figure8", "ensembles", method="method2"),
        sizes=study.path("tidy", frame="sizes"),
        code=code("ffensembles.plotting.figure8", "ffensembles.plotting.saving"),
    output:
        **figure_files("figure8"),
    log:
        study.pattern("log", stage="figure8{variant}"),
    conda:
        "../envs/analysis.yaml"
    params:
        labels=labels("figure8"),
        protocol=protocol("figure8"),
        shown=shown("figure8", "quantile"),
    message:
        "Figure 8: Method 1 against Method 2"
    script:
        "../scripts/figure8.py"
