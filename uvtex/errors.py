"""Errors that are the user's to mend: one message each, and the exit code that goes with it."""


class UvtexError(Exception):
    """Something went wrong while running. The message says what, where, and what to do next."""

    exit_code = 1


class ConfigError(UvtexError):
    """Settings, flags or a settings file are wrong. Lists every problem, one a line."""

    exit_code = 2


class DataError(UvtexError):
    """A data set, a picture or a manifest cannot be used."""


class CheckpointError(UvtexError):
    """A checkpoint cannot be read or written."""


class DivergenceError(UvtexError):
    """A loss became NaN or infinite. Names the epoch, the step and the term."""


class OutOfMemory(UvtexError):
    """Memory ran out. Names the picture size, the batch size and the device, and what to lower."""


class BackboneMissing(UvtexError):
    """LPIPS was asked for and its ImageNet backbone cannot be had. Says where the file goes."""
