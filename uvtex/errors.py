"""Errors that the user can fix. Each has one message and an exit code."""


class UvtexError(Exception):
    """Something failed while running. The message says what failed, where, and what to do next."""

    exit_code = 1


class DiskFull(UvtexError):
    """A file could not be written for want of space. What was there is untouched."""


class ConfigError(UvtexError):
    """Settings, flags or a settings file are wrong. The message has every problem, one a line."""

    exit_code = 2


class DataError(UvtexError):
    """A data set, a picture or a manifest cannot be used."""


class CheckpointError(UvtexError):
    """A checkpoint cannot be read or written."""


class PartialCheckpoint(CheckpointError):
    """A checkpoint's file is cut or garbled."""


class DivergenceError(UvtexError):
    """A loss or a parameter is NaN or infinite. The message has the epoch and the name."""


class OutOfMemory(UvtexError):
    """Memory is full. The message has picture size, batch size and device, and what to lower."""


class BackboneMissing(UvtexError):
    """The ImageNet backbone of LPIPS is missing. The message says where to put the file."""
