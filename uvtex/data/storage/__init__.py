"""How an opened data set lies in memory: pictures, index, batches, fingerprints, cameras."""
