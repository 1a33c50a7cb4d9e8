"""Where arrays live: sources to read from, parts to write, and the scratch folder."""
