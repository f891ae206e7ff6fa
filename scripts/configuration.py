"""Write the whole configuration of a study."""

import yaml

from ffensembles.runtime.files import write_checksums, write_text
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    write_text(snakemake.output[0], yaml.safe_dump(snakemake.params.config, sort_keys=False))
    write_checksums(snakemake.output[0], [snakemake.output[0]])
