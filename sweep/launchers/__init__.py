"""Where trials run: both ends of the pipe between a study's driver and its workers."""
