"""Word hierarchies in curved and in flat space: begin with experiment.py."""
