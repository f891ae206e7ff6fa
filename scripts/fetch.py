from ffensembles.datasets.loading import fetch_checked
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    data = snakemake.config["data"]
    fetch_checked(
        snakemake.params.name, snakemake.output[0], source=data["source"], folder=data["folder"]
    )
