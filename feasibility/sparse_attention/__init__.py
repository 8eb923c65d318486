"""What attention by classes costs, and whether it is the same function: begin with experiment.py."""
