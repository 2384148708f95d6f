"""One module a pass: its rules, their laws, and a pass made of them."""
