"""From a method and its input to a plan: blocks, memory, target. Nothing runs here."""
