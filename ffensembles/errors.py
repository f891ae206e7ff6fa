"""The errors a user meets: each message names the file or key, what was found and the way out."""


class FFEnsemblesError(Exception):
    """Something a user can mend; its text is complete and needs no traceback."""


class ConfigError(FFEnsemblesError):
    """The configuration holds a key or a value that cannot be."""


class DataError(FFEnsemblesError):
    """A data set's file is missing, truncated or not the official one."""


class TrainingError(FFEnsemblesError):
    """Training cannot go on: a number stopped being finite, or a checkpoint does not fit."""


class StoreError(FFEnsemblesError):
    """A result cannot be written, or cannot be read back."""
