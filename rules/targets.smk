# What may be asked for by name beside `all`: one stage, one table, one figure.


rule training:
    input:
        paths.each("weights", grid.runs),
    localrule: True


rule representations:
    input:
        paths.each("activations", grid.runs),
    localrule: True


rule ensembles:
    input:
        [paths.each("ensembles", grid.runs, method=method) for method in methods()],
    localrule: True


rule tidy:
    input:
        tidy_files(),
    localrule: True


for what in ("tables", "figures"):

    rule:
        name:
            what
        input:
            asked(editions.every(what)),
        localrule: True


rule report:
    input:
        paths.one("report"),
    localrule: True


rule control:
    # BP at FF's learning rate, FF at BP's
    input:
        asked(tidy_files("control/"), "control/"),
    localrule: True


rule nulls:
    # of the claims: untrained nets, and ensembles found with shuffled labels
    input:
        asked(tidy_files("untrained/"), "untrained/"),
        asked(tidy_files("shuffled/"), "shuffled/"),
    localrule: True


rule sweep:
    input:
        rules.draw_sweep.output,
        rules.write_configuration.output,
    localrule: True


rule reproduction:
    input:
        [
            paths.one("reproduction", edition=edition, file="reproduction.md")
            for edition in editions.all
            if edition in PUBLICATIONS
        ],
    localrule: True


for target, files in {**editions.targets, **study.extensions.targets}.items():
    if target == "all" or workflow.is_rule(target):
        sys.exit(
            f"editions: found a table or figure named {target!r}; a rule of the workflow has this name, choose another."
        )

    rule:
        name:
            target
        input:
            files,
        localrule: True
