"""One frozen method per analysis: parameters, kernel, declared output."""
