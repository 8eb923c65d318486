"""Word vectors that are known before training, in the place of learned ones: begin with experiment.py."""
