"""Parts of the printer: expressions, statements, declarations."""
