"""What a word's place in the semantic periodic table says of its bonds: begin with experiment.py."""
