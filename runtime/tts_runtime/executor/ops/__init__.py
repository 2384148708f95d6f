"""How each operator of a plan is run, a module for each kind."""
