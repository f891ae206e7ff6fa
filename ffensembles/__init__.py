"""ffensembles: emergent ensembles in networks trained with the Forward-Forward algorithm.

The science of the pipeline as an importable library. It knows nothing of workflows:
notebooks import the same functions that the workflow's scripts call.
"""

__version__ = "0.1.0"
