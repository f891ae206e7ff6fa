"""Make the report: Snakemake's own, of what rule report_contents names."""

import os
import subprocess
from pathlib import Path

from ffensembles.config import load_config
from ffensembles.runtime.files import atomic_path, check_below, check_beside, write_text
from ffensembles.runtime.jobs import logged
from ffensembles.study import Study
from ffensembles.study.landing import landing

with logged(snakemake.log[0], snakemake.output[0]):
    # no parameters: the place of the workflow changes no result
    root, configuration = Path(snakemake.scriptdir).parent, snakemake.input.configuration
    opening = (root / "report" / "workflow.rst").read_text(encoding="utf-8")
    check_beside(configuration)
    for shown in ("tables", "figures"):  # Snakemake takes them as they are
        check_below(Path(configuration).with_name(shown))
    study = Study.of(load_config(snakemake.config))
    write_text(snakemake.output.landing, landing(study, opening))
    with atomic_path(snakemake.output.report) as report, Path(snakemake.log[0]).open("a") as log:
        # Snakemake reads the ending; its own lock is held by the run that this job is part of
        page = report.with_suffix(".html")
        words = ["report_contents", "--snakefile", root / "Snakefile", "--nolock"]
        words += ["--configfile", configuration, "--report", page]
        words += ["--report-stylesheet", root / "report" / "report.css"]
        subprocess.run(
            [os.environ["FFENSEMBLES_PYTHON"], "-m", "snakemake", *words],
            stdout=log,
            stderr=log,
            check=True,
        )
        page.replace(report)
