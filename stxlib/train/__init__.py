"""Training of any objective: the trainer knows it only as a module that maps a batch to sums and counts."""
