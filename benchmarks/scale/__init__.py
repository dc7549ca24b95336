"""What a study of thousands of trials costs its driver and its readers."""
