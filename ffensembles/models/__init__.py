"""The three models as the study defines them; the reference every engine is held to."""
