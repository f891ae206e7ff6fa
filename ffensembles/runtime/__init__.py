"""What every package needs: files, provenance, code dependencies, jobs, random streams, text."""
