"""Download a data set's files and check them."""

from ffensembles.datasets.loading import fetch_checked
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    fetch_checked(snakemake.params.dataset, snakemake.output[0], **snakemake.config["data"])
