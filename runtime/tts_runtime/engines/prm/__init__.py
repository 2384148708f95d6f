"""Process reward models of the literature, each read by its published recipe."""
