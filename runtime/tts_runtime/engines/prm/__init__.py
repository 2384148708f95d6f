"""Process reward models of the literature, each with its published layout and head."""
