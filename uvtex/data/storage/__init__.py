"""An opened data set in memory: pictures, index, batches, fingerprints, cameras."""
