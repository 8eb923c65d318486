"""Whether what typed memory gains lasts when models grow: begin with experiment.py."""
