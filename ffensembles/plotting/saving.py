"""Writing a figure: PDF for print, PNG for the screen, and its caption, each whole or not there."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from ffensembles.plotting.style import FIGURE_ENDINGS, styled
from ffensembles.runtime.files import atomic_path, write_checksums, write_text

PNG_DPI = 200


@styled
def save_figure(
    figure: Figure, stem: str | Path, caption: str, provenance: Mapping[str, str]
) -> list[Path]:
    """Write `stem`.pdf, `stem`.png and the caption `stem`.rst; same figure, same bytes.

    Parameters
    ----------
    figure
        What to write.
    stem
        Path of the three files without their endings (dots in it are kept).
    caption
        Text in reStructuredText.
    provenance
        Where the figure comes from; it goes into the metadata of both images.

    Returns
    -------
    list of pathlib.Path
        The PDF, the PNG and the caption.

    Raises
    ------
    StoreError
        If a file cannot be written.
    """
    stem = Path(stem)
    pdf, png, rst = (stem.with_name(f"{stem.name}.{ending}") for ending in FIGURE_ENDINGS)
    about = json.dumps(dict(provenance), sort_keys=True)
    # dates would make every copy differ
    document = {"Title": stem.name, "Keywords": about, "CreationDate": None, "ModDate": None}
    with atomic_path(pdf) as path, _as_they_are(figure):
        figure.savefig(path, format="pdf", metadata=document)
    with atomic_path(png) as path:
        figure.savefig(path, format="png", dpi=PNG_DPI, metadata=dict(provenance))
    write_text(rst, caption.rstrip() + "\n")
    write_checksums(stem, [pdf, png, rst])
    return [pdf, png, rst]


@contextmanager
def _as_they_are(figure: Figure) -> Iterator[None]:
    """Keep images pixel by pixel: a page has no pixels of its own to resample them to."""
    images: list[AxesImage] = figure.findobj(AxesImage)
    before = [image.get_interpolation() for image in images]
    for image in images:
        image.set_interpolation("none")
    try:
        yield
    finally:
        for image, interpolation in zip(images, before, strict=True):
            image.set_interpolation(interpolation)
