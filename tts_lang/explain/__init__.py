"""What can be said about a plan without running it: bounds, and a tree to read them in."""
