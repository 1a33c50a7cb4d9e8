"""Pure array functions; they import nothing else of rayspy."""
