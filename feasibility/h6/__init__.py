"""Whether attention falls on the pairs that linguistic rules allow: begin with experiment.py."""
