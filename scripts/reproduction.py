from pathlib import Path

import pandas as pd
import yaml

from ffensembles.analyses.tidy import read_frame, write_frame
from ffensembles.publication.claims import claims
from ffensembles.publication.comparison import compare
from ffensembles.publication.page import about, page
from ffensembles.runtime.files import write_text
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    params, given, out = snakemake.params, snakemake.input, snakemake.output
    frames = {
        name: pd.concat(read_frame(given[part]) for part in parts)
        for name, parts in params.frames.items()
    }
    sweep = read_frame(given.sweep) if given.sweep else None
    configuration = yaml.safe_load(Path(given.configuration).read_text())
    numbers = compare(frames, sweep, categories=tuple(params.categories), held_out=params.held_out)
    tested = claims(frames)
    write_frame(numbers, out.numbers)
    write_frame(tested, out.claims)
    said = about(frames, configuration, params.titles)
    write_text(out.page, page(numbers, tested, said, params.titles))
