"""The study's analyses: labelled arrays or tidy frames in, tidy frames out.

Each room holds one analysis and knows nothing of how the nets were trained: none imports torch.
Tidy frames carry the columns of `tidy.RUN_KEYS` first, so that the frames of many runs can be
put one below the other (`tidy.over_runs`) and averaged over runs (`tidy.over_seeds`).
"""
