"""Which runs a study has, where their files lie, and which figures and tables each edition has."""
