"""Where trials run: both ends of the channel between a study's driver and its workers."""
