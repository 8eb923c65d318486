"""Language models with a window and typed memory against dense ones: begin with experiment.py."""
