"""Compare every published number and claim with results."""

from pathlib import Path

import yaml

from ffensembles.analyses.regression import mark_ended
from ffensembles.analyses.tidy import read_frame, write_frame
from ffensembles.plotting.saving import save_figure
from ffensembles.plotting.tried import caption_tried, draw_tried
from ffensembles.publication.claims import claims
from ffensembles.publication.comparison import compare
from ffensembles.publication.page import about, page
from ffensembles.publication.tried import placed, scored, tried
from ffensembles.runtime.files import check_beside, write_checksums, write_text
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance


def settings(path: str) -> dict:
    """Read the configuration that results were made with."""
    check_beside(path)
    return yaml.safe_load(Path(path).read_text())


with logged(snakemake.log[0], snakemake.output[0]):
    params, given, out = snakemake.params, snakemake.input, snakemake.output
    frames = {name: read_frame(given[name]) for name in params.frames}
    configuration, *others = map(settings, [given.configuration, *given.swept])
    found_by = configuration["ensembles"]["method2"]
    frames |= {
        name: mark_ended(frame, found_by)
        for name, frame in frames.items()
        if name.endswith("sizes")
    }
    sweeps = [
        placed(read_frame(path), own, configuration)
        for path, own in zip(given.sweeps, others, strict=True)
    ]
    edition = snakemake.wildcards.edition
    numbers, tested = compare(frames, sweeps, edition), claims(frames, edition)
    write_frame(numbers, out.numbers)
    write_frame(tested, out.claims)
    said = about(frames, configuration, params.titles, edition)
    scores, trials = scored(frames, sweeps, edition), tried(frames, sweeps, edition)
    figure, caption = draw_tried(scores, params.titles), caption_tried(scores, params.titles)
    _, image, _ = save_figure(figure, out.figure[0].removesuffix(".pdf"), caption, provenance())
    shown = image.name, caption
    text = page(numbers, tested, said, params.titles, edition, sweeps, trials, scores, shown)
    write_text(out.page, text)
    write_checksums(out.page, [out.page])
