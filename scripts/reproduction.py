"""Compare every published number and claim with results."""

from pathlib import Path

import yaml

from ffensembles.analyses.tidy import read_frame, write_frame
from ffensembles.publication.claims import claims
from ffensembles.publication.comparison import compare
from ffensembles.publication.page import about, page
from ffensembles.runtime.files import check_beside, write_checksums, write_text
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    params, given, out = snakemake.params, snakemake.input, snakemake.output
    frames = {name: read_frame(given[name]) for name in params.frames}
    sweeps = [read_frame(path) for path in given.sweeps]
    check_beside(given.configuration)
    configuration = yaml.safe_load(Path(given.configuration).read_text())
    edition = snakemake.wildcards.edition
    numbers, tested = compare(frames, sweeps, edition), claims(frames, edition)
    write_frame(numbers, out.numbers)
    write_frame(tested, out.claims)
    said = about(frames, configuration, params.titles, edition)
    write_text(out.page, page(numbers, tested, said, params.titles, edition, sweeps))
    write_checksums(out.page, [out.page])
