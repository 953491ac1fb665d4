"""Source text to a resolved program: lexis, grammar, syntax tree, imports, names."""
