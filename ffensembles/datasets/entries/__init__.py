"""One module per data set, under its name; each describes it as `ENTRY`."""
