"""What every room needs: files, provenance, code dependencies, jobs, random streams, text."""
