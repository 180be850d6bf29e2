"""How reference.py gets from the programs' own declarations to pages and completion files."""
