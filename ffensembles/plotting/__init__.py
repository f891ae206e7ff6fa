"""The study's figures: tidy frames and labelled arrays in, matplotlib figures and captions out.

One module per figure, each with `figureN` and, beside it, `captionN`, which writes the caption
for this run from the same data. Nothing here reads files or knows torch; `saving.save_figure`
writes. Figures are made without pyplot and leave no setting behind.
"""
