"""The plan: a frozen dataflow graph that says what to do for one problem."""
