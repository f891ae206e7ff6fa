"""The mathematics of `ffensembles.models` made fast. Knows no files."""
