"""The models as the study defines them, and their plain training, the standard for every engine."""
