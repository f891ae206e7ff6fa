"""Make the report: Snakemake's own, of what rule report_contents names."""

import subprocess
import sys
from pathlib import Path

from ffensembles.runtime.files import atomic_path
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    configuration, snakefile = snakemake.input.configuration, snakemake.params.snakefile
    with atomic_path(snakemake.output[0]) as report, Path(snakemake.log[0]).open("a") as log:
        # Snakemake reads the ending; its own lock is held by the run that this job is part of
        page = report.with_suffix(".html")
        words = ["report_contents", "--snakefile", snakefile, "--nolock"]
        words += ["--configfile", configuration, "--report", page]
        subprocess.run(
            [sys.executable, "-m", "snakemake", *words], stdout=log, stderr=log, check=True
        )
        page.replace(report)
