"""What every room needs: atomic files, provenance, code dependencies, jobs, random streams, text."""
